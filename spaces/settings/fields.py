"""The fields of model and train by their names in a space, where each may be searched."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from spaces.problems import shown, unknown_name
from spaces.sections import named
from spaces.settings.model import MOST_LAYERS, Block, Convnet, Init, Mlp
from spaces.settings.train import Schedule, Train

EVERY = "*"  # in a name: every entry of a list
LISTS = {"hidden": "layers", "blocks": "blocks"}  # each with the name of its length
_OF_HIDDEN = {"layers": ("hidden",), "width": ("hidden", EVERY)}
_FIELDS = {
    **dict.fromkeys(Train.model_fields, "train"),
    **dict.fromkeys((*Mlp.model_fields, *Convnet.model_fields, *_OF_HIDDEN), "model"),
}


def parts_of(name: str) -> list[str]:
    """The parts of a field's name, without the section's: ``model.hidden.0`` → hidden, 0."""
    first, *rest = name.split(".")
    return rest if first in ("train", "model") and rest else [first, *rest]


def field_path(name: str) -> tuple[str, ...]:
    """The place of a searched field: ``lr`` → (train, lr), ``blocks.0.kernel`` → (model, …).

    ``layers`` and ``width`` are the length of ``hidden`` and each of its entries; ``blocks.kernel``
    is that of every block.

    Raises:
        ValueError: when the name is no field of ``train`` or of a model.
    """
    first, *rest = parts_of(name)
    if first not in _FIELDS:
        raise ValueError(unknown_name("field", first, _FIELDS))
    if first in _OF_HIDDEN and not rest:
        return ("model", *_OF_HIDDEN[first])
    is_of_each = first in LISTS and rest and rest[0] != EVERY and not rest[0].isdecimal()
    return (_FIELDS[first], first, *([EVERY] if is_of_each else []), *rest)


def is_field(name: str) -> bool:
    """Whether a name begins with that of a field."""
    return parts_of(name)[0] in _FIELDS


def counted_list(name: str) -> str | None:
    """The list whose length a field says, when it is given as a number: ``layers`` → hidden."""
    plain = ".".join(parts_of(name))
    return next((field for field, length in LISTS.items() if length == plain), None)


def is_float_field(name: str) -> bool:
    """Whether a searched field holds real numbers, so that ``{low: 0, high: 1}`` means floats."""
    try:
        section, *rest = field_path(name)
    except ValueError:
        return False
    last = rest[-1]
    kinds = (Train, Schedule) if section == "train" else (Convnet, Block, Init)
    annotations = [
        kind.model_fields[last].annotation for kind in kinds if last in kind.model_fields
    ]
    return any(map(_holds_float, annotations))


def _holds_float(annotation: Any) -> bool:
    return annotation is float or any(map(_holds_float, get_args(annotation)))


def set_fields(settings: dict[str, Any], fields: Iterable[tuple[str, Any]]) -> None:
    """Set fields, each a name and its value, in the plain data ``{train: …, model: …}``.

    A part of a name that is a number picks an entry of a list, ``*`` goes to every entry. The order
    of the fields does not matter: whole fields are set before parts of them, lists before their
    lengths, every entry before a single one.

    Raises:
        ValueError: when a name leads nowhere, or a length is none.
    """
    placed = [(field_path(name), _is_length(name, value), value) for name, value in fields]
    placed.sort(key=lambda field: (len(field[0]), field[1], EVERY not in field[0]))
    for path, is_length, value in placed:
        if is_length:
            value = _resized(settings["model"], path[-1], value)
        elif path == ("model", "hidden") and type(value) is int:
            rule = "must be a list; its length is layers, every entry width, each one hidden.*"
            raise ValueError(f"{rule}; got {value}")
        _descend(settings, path, copy.deepcopy(value))


def _is_length(name: str, value: Any) -> bool:
    return counted_list(name) is not None and not isinstance(value, list)


def _resized(model: Mapping[str, Any], field: str, length: Any) -> list[Any]:
    """A list of the model at another length: it is cut off, or its last entry repeats.

    An empty one repeats the family's usual entry.
    """
    least = 0 if field == "hidden" else 1
    if type(length) is not int or not least <= length <= MOST_LAYERS:
        raise ValueError(f"must be a whole number from {least} to {MOST_LAYERS}, got {length!r}")
    usual = Convnet() if model.get("family") == "convnet" else Mlp()
    if field not in type(usual).model_fields:
        raise ValueError(f"only the family convnet has {field}, the family is {usual.family}")
    entries = model.get(field) or usual.model_dump()[field]
    return [copy.deepcopy(entry) for entry in [*entries, *entries[-1:] * length][:length]]


def _descend(place: Any, path: tuple[str, ...], value: Any) -> None:
    key, rest = path[0], path[1:]
    if isinstance(place, list):
        if key == EVERY:
            for index in range(len(place)):
                _descend(place, (str(index), *rest), value)
            return
        index = int(key) if key.isdecimal() else len(place)
        if index >= len(place):
            raise ValueError(f"there is no entry {key} in a list of {len(place)}")
        if rest:
            _descend(place[index], rest, value)
        else:
            place[index] = value
    elif not isinstance(place, dict):
        raise ValueError(f"{shown(place)} has no field {shown(key)}")
    elif not rest:
        place[key] = value
    else:
        if not isinstance(place.get(key), dict | list):
            place[key] = named(place.get(key)) or {}
        _descend(place[key], rest, value)
