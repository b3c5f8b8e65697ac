"""The fields of model and train by their names in a space, where each may be searched."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, get_args

from spaces.problems import shown, unknown_name
from spaces.sections import named
from spaces.settings.model import Block, Convnet, Init, Mlp
from spaces.settings.train import Schedule, Train

_FIELDS = {
    **dict.fromkeys(Train.model_fields, "train"),
    **dict.fromkeys((*Mlp.model_fields, *Convnet.model_fields), "model"),
}


def field_path(name: str) -> tuple[str, ...]:
    """The place of a searched field: ``lr`` → (train, lr), ``blocks.0.kernel`` → (model, …).

    Raises:
        ValueError: when the name is no field of ``train`` or of a model.
    """
    first, *rest = name.split(".")
    if first in ("train", "model") and rest:
        first, *rest = rest
    if first not in _FIELDS:
        raise ValueError(unknown_name("field", first, _FIELDS))
    return (_FIELDS[first], first, *rest)


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

    A part of a name that is a number picks an entry of a list; any other part, where a list
    stands, goes to every entry (``blocks.kernel``). Whole fields are set before parts of them,
    so that the order of the fields does not matter.
    """
    for path, value in sorted(
        ((field_path(name), value) for name, value in fields), key=lambda field: len(field[0])
    ):
        _descend(settings, path, copy.deepcopy(value))


def _descend(place: Any, path: tuple[str, ...], value: Any) -> None:
    key, rest = path[0], path[1:]
    if isinstance(place, list):
        if not key.isdecimal():
            for entry in place:
                _descend(entry, path, value)
            return
        index = int(key)
        if index >= len(place):
            raise ValueError(f"there is no entry {index} in a list of {len(place)}")
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
