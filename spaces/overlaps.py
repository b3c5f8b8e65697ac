"""Parameters that set one and the same field: what one of them says would never be trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from spaces.parameters import Choice, Parameter, Scalar
from spaces.problems import Problem
from spaces.settings.fields import field_path, is_field

Field = tuple[str, ...]
Conditions = dict[str, list[Scalar]]

_SHORT = ("init", "schedule")  # a text there is short for {name: …}


class _Setting(NamedTuple):
    """A field that a parameter sets; ``place``: where that is said; ``needs``: when it does."""

    parameter: str
    place: str
    field: Field
    needs: Conditions


def overlap_problems(parameters: Mapping[str, Parameter], is_own_code: bool) -> Iterator[Problem]:
    """Parameters that set one field in the same configuration, each two of them once.

    A part of what the other one sets is fine, such as ``init.std`` of ``init``, unless that one
    names the part, too; or one block's kernel beside ``blocks.kernel``, that of all blocks.

    Args:
        parameters: by name; their conditions are sound.
        is_own_code: whether they are what the user's own code is given, by these very names.
    """
    fields_of = _own_fields if is_own_code else _fields
    return _overlaps(s for name in parameters for s in _settings(parameters, name, fields_of))


def drawn_overlaps(params: Iterable[str], returned: Mapping[str, Any]) -> Iterator[Problem]:
    """The same for what a function has drawn and returned for a built-in model.

    Args:
        params: the names of what was drawn; those that are no fields are the function's own.
        returned: the settings that it returned.
    """
    held: list[tuple[str, str, Any]] = [(name, name, "") for name in params if is_field(name)]
    held += [(f"{name} (returned)", name, value) for name, value in returned.items()]
    return _overlaps(
        _Setting(place, place, field, {})
        for place, name, value in held
        for field in _fields(name, value)
    )


def _overlaps(settings: Iterable[_Setting]) -> Iterator[Problem]:
    by_field: dict[Field, list[_Setting]] = {}
    for setting in settings:
        by_field.setdefault(setting.field, []).append(setting)
    told = set()
    for alike in by_field.values():
        for one, other in combinations(alike, 2):
            pair = (one.parameter, other.parameter)
            if pair not in told and _can_meet(one, other):
                told.add(pair)
                name = ".".join(one.field)
                message = f"sets {name}, which space.{one.place} sets, too; drop one of them"
                yield Problem(other.place, f"{message}, or give it a when that excludes the other")


def _settings(
    parameters: Mapping[str, Parameter],
    name: str,
    fields_of: Callable[[str, Any], Iterable[Field]],
) -> Iterator[_Setting]:
    parameter, needs = parameters[name], _needs(parameters, name)
    if not isinstance(parameter, Choice) or parameter.settings is None:
        yield from (_Setting(name, name, field, needs) for field in fields_of(name, ""))
        return
    for choice, settings in parameter.settings.items():
        chosen: Conditions = {**needs, name: [choice]}
        for key, value in settings.items():
            for field in fields_of(key, value):
                yield _Setting(name, f"{name}.{choice}.{key}", field, chosen)


def _needs(parameters: Mapping[str, Parameter], name: str) -> Conditions:
    """The values of other parameters without which this one does not apply."""
    needs: Conditions = {}
    waiting, seen = [name], {name}
    while waiting:
        for other, values in (parameters[waiting.pop()].when or {}).items():
            needs[other] = [held for held in needs.get(other, values) if held in values]
            if other not in seen:  # one that several depend on is looked at once
                seen.add(other)
                waiting.append(other)
    return needs


def _own_fields(name: str, value: Any) -> Iterable[Field]:
    return [(name,)]


def _fields(name: str, value: Any) -> Iterator[Field]:
    """The fields that a setting of a built-in model sets: of a mapping each of its own."""
    yield from _parts(field_path(name), value)


def _parts(field: Field, value: Any) -> Iterator[Field]:
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from _parts((*field, key), held)
    else:
        yield (*field, "name") if field[-1] in _SHORT else field


def _can_meet(one: _Setting, other: _Setting) -> bool:
    """Whether one configuration can have both."""
    shared = one.needs.keys() & other.needs.keys()
    return all(any(value in other.needs[name] for value in one.needs[name]) for name in shared)
