"""Depth and width searched together: a parameter for each layer or block that is there.

In a file ``hidden.*`` and ``blocks.*.channels`` stand for one parameter an entry: ``hidden.0``,
``hidden.1`` and so on. Where the number of entries varies (``layers``, ``blocks``), each of them
applies only where its entry is there, by a condition like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from spaces.parameters import MOST_PARAMETERS, Choice, Int, Parameter, Scalar
from spaces.problems import Problem
from spaces.settings.fields import EVERY, LISTS, counted_list, parts_of
from spaces.settings.model import MOST_LAYERS, Convnet, Mlp

_CALLED = {"hidden": "hidden layers", "blocks": "blocks"}


class _Length(NamedTuple):
    """How long a list can be.

    ``parameter``: the name of what says so; None: it is fixed. ``always``: so many entries are
    there in the fixed settings and in whatever is drawn.
    """

    parameter: str | None
    values: list[int]
    always: int

    @property
    def most(self) -> int:
        return max(self.values, default=0)


def expanded(parameters: Mapping[str, Parameter], model: Mlp) -> dict[str, Parameter]:
    """The parameters of a built-in model, with one for each entry that a ``*`` stands for.

    One that a file names itself, such as ``hidden.0`` beside ``hidden.*``, stays as it is; it, too,
    applies only where its entry is there.

    Args:
        parameters: by name, as a file has them.
        model: the fixed settings, which say how many entries there are where that does not vary.
    """
    lengths = {field: _length(field, parameters, model) for field in LISTS}
    found: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        field, entry = _entry(name)
        if entry is None:
            found[name] = parameter
        elif entry.isdecimal():
            found[name] = _where_there(parameter, int(entry), lengths[field]) or parameter
        else:
            for index in range(lengths[field].most):
                held = _where_there(parameter, index, lengths[field])
                own = name.replace(EVERY, str(index), 1)
                if own not in parameters and held is not None:
                    found[own] = held
    return found


def _entry(name: str) -> tuple[str, str | None]:
    """The list whose entries a name is about, and which: a number, ``*``, or None of its own."""
    field, entry, *_ = [*parts_of(name), "", ""]
    is_one = field in LISTS and (entry == EVERY or entry.isdecimal())
    return field, entry if is_one else None


def _length(field: str, parameters: Mapping[str, Parameter], model: Mlp) -> _Length:
    fixed = len(getattr(model if hasattr(model, field) else Convnet(), field))
    for name, parameter in parameters.items():
        if counted_list(name) == field and not _is_named(parameter):
            values = _lengths_in(parameter)
            return _Length(name, values, min([fixed, *values]) if parameter.when is None else 0)
    return _Length(None, [fixed], fixed)


def _lengths_in(parameter: Parameter) -> list[int]:
    """The lengths that can be drawn; those that no list may have are left out."""
    values: list[Scalar] = []
    if isinstance(parameter, Choice):
        values = list(parameter.choices)
    elif isinstance(parameter, Int):
        high = min(parameter.high, MOST_LAYERS)
        values = list(range(max(parameter.low, 0), high + 1, parameter.step or 1))
    return [value for value in values if type(value) is int and 0 <= value <= MOST_LAYERS]


def _is_named(parameter: Parameter) -> bool:
    return isinstance(parameter, Choice) and parameter.settings is not None


def _where_there(parameter: Parameter, index: int, length: _Length) -> Parameter | None:
    """The parameter of one entry, with the condition that this is there; None: it never is."""
    if length.parameter is None or index < length.always:
        return parameter
    when = parameter.when or {}
    wanted = when.get(length.parameter, length.values)
    met = [value for value in wanted if value in length.values and value > index]
    if not met:
        return None
    return parameter.model_copy(update={"when": {**when, length.parameter: met}})


def depth_problems(
    parameters: Mapping[str, Parameter], every: Mapping[str, Parameter], model: Mlp
) -> Iterator[Problem]:
    """What keeps a ``*`` from standing for parameters.

    Args:
        parameters: by name, as a file has them.
        every: the same, expanded.
        model: the fixed settings.
    """
    for name in parameters:
        field, entry = _entry(name)
        if entry != EVERY:
            continue
        length, by = _length(field, parameters, model), LISTS[field]
        setters = sorted(other for other in parameters if _sets_whole(parameters[other], field))
        if length.parameter is None and setters:
            message = f"how many {_CALLED[field]} there are depends on {setters[0]}"
            yield Problem(name, f"{message}: name each (such as {field}.0), or search {by} instead")
        elif length.values and length.most == 0:
            where = f"{by} is 0" if length.parameter else f"model.{field} is empty"
            yield Problem(name, f"stands for no parameter: {where}")
    if len(every) > MOST_PARAMETERS:
        message = f"takes at most {MOST_PARAMETERS} parameters, got {len(every)}"
        yield Problem("", f"{message} with one for each entry that a {EVERY} stands for")


def _sets_whole(parameter: Parameter, field: str) -> bool:
    """Whether names that stand for settings say a whole list, or its length."""
    settings = parameter.settings if isinstance(parameter, Choice) else None
    names = {".".join(parts_of(name)) for held in (settings or {}).values() for name in held}
    return bool(names & {field, LISTS[field]})


def depends_on_length(name: str, names: Collection[str]) -> bool:
    """Whether a parameter is one of an entry, and one of some names says how many there are."""
    field, entry = _entry(name)
    return entry is not None and any(counted_list(other) == field for other in names)


def place_in_file(place: str, parameters: Collection[str]) -> str:
    """Where a file says what a place is about: ``hidden.3.low`` → ``hidden.*.low``.

    Args:
        place: it begins with the name of a parameter.
        parameters: the names that the file has.
    """
    _, entry = _entry(place)
    single = (name for name in parameters if _entry(name)[1] == entry)
    if entry is None or any(f"{place}.".startswith(f"{name}.") for name in single):
        return place
    return place.replace(entry, EVERY, 1)
