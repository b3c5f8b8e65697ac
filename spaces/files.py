"""Reading and writing experiment files, and the ready-made studies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from spaces.checks import parse_experiment
from spaces.code import absolute_reference
from spaces.experiment import Experiment
from spaces.notes import notes_on
from spaces.problems import InputError, Problem, shown, unknown_name
from spaces.sections import NAMED, named
from spaces.settings.own_data import FILES
from spaces.text import MOST_LEVELS, dump_yaml, parse_yaml, read_mapping

Changes: TypeAlias = Sequence[str] | Mapping[str, Any]
Note: TypeAlias = Callable[[str], None]
STUDIES = Path(__file__).parent / "studies"


def studies() -> dict[str, Path]:
    """The ready-made studies: name to file."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}


def load_experiment(
    spec: str | Path, changes: Changes = (), note: Note | None = None
) -> Experiment:
    """Read an experiment file, or a ready-made study by its name.

    Args:
        spec: a path, or the name of a study.
        changes: settings that replace those of the file, each as ``a.b=value``; or values by
            their places, ``a.b``.
        note: is given a line for each thing that may not be what is meant.

    Raises:
        InputError: with every mistake in the file or the changes.
    """
    path = Path(spec)
    if not os.path.exists(path) or path.is_dir():  # Path.exists fails for too long a name
        path = studies().get(str(spec), path)
    if os.path.isdir(path):
        own = path / "experiment.yaml"
        hint = f"; that of this run is {own}" if own.is_file() else ""
        raise InputError(f"is a folder, not an experiment file{hint}", source=str(path))
    is_file_name = path.suffix in (".yaml", ".yml") or len(path.parts) > 1
    missing = f"neither a file nor a study; {unknown_name('study', str(spec), studies())}"
    data = read_mapping(path, "there is no such file" if is_file_name else missing)
    return read_experiment(data, path.parent, changes, str(spec), note)


def read_experiment(
    data: dict[str, Any],
    folder: Path,
    changes: Changes = (),
    source: str | None = None,
    note: Note | None = None,
) -> Experiment:
    """Check the data of an experiment file, and make an experiment of it.

    Args:
        data: is changed.
        folder: from which its paths are seen.
        changes: settings that replace some of the data, as in ``load_experiment``.
        source: what errors name as their place.
        note: is given a line for each thing that may not be what is meant.

    Raises:
        InputError: with every mistake in the data or the changes.
    """
    _resolve_data_files(data, folder)
    problems = list(_set_all(data, changes))
    _resolve_data_files(data, Path.cwd())
    for key in ("trainable", "space"):
        if isinstance(data.get(key), str):
            data[key] = absolute_reference(data[key], folder)
    dataset = data.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("root"), str):
        data["dataset"] = {**dataset, "root": _absolute(dataset["root"], "dataset.root")}
    storage = data.get("storage")
    if isinstance(storage, str) and "://" not in storage:
        data["storage"] = _absolute(storage, "storage")
    try:
        experiment = parse_experiment(data)
    except InputError as error:
        raise InputError([*problems, *error.problems], source=source) from None
    if problems:
        raise InputError(problems)
    if note is not None:
        for line in notes_on(experiment, data):
            note(line)
    return experiment


def _resolve_data_files(data: dict[str, Any], folder: Path) -> None:
    """Make the files of the user's own data absolute, as seen from a folder."""
    dataset = data.get("dataset")
    if not isinstance(dataset, dict) or dataset.get("name") not in ("table", "arrays"):
        return
    for key in FILES:
        if isinstance(file := dataset.get(key), str):
            place = f"dataset.{key}"
            dataset = {**dataset, key: _absolute(str(folder / _expanded(file, place)), place)}
    data["dataset"] = dataset


def _expanded(path: str, place: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # a home of nobody's
        raise InputError([Problem(place, f"is no path: {error}, got {shown(path)}")]) from None


def _set_all(data: dict[str, Any], changes: Changes) -> Iterator[Problem]:
    """Apply changes to the data of a file; what is wrong with any of them."""
    for change in changes.items() if isinstance(changes, Mapping) else changes:
        try:
            if isinstance(change, str):
                set_path(data, change)
            else:
                set_value(data, str(change[0]), change[1])
        except InputError as error:
            flag = "--set" if isinstance(change, str) else "set"
            yield from (
                Problem(f"{flag}: {p.path}" if p.path else flag, p.message) for p in error.problems
            )


def _absolute(path: str, place: str) -> str:
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a home of nobody's, a circle
        raise InputError([Problem(place, f"is no path: {error}, got {shown(path)}")]) from None


def set_path(
    data: dict[str, Any], change: str, sections: Iterable[str] = tuple(Experiment.model_fields)
) -> None:
    """Apply one ``a.b=value`` (the value in YAML) to the data of a file.

    Args:
        data: is changed.
        change: a path and a value.
        sections: what the file may hold.

    Raises:
        InputError: when the change has no ``=`` or its path leads nowhere.
    """
    path, separator, text = change.partition("=")
    if not separator or not path:
        raise InputError(f"must look like a.b=value, got {shown(change)}", source="--set")
    try:
        value = parse_yaml(text)
    except InputError as error:
        message = f"the value of {path} {error}, got {shown(text)}"
        raise InputError(message, source="--set") from None
    set_value(data, path, value, sections)


def set_value(
    data: dict[str, Any],
    path: str,
    value: Any,
    sections: Iterable[str] = tuple(Experiment.model_fields),
) -> None:
    """Put a value at the place ``a.b`` of the data of a file.

    Args:
        data: is changed.
        path: the place.
        value: plain data.
        sections: what the file may hold.

    Raises:
        InputError: when the path leads nowhere.
    """
    *parents, last = path.split(".")
    if len(parents) >= MOST_LEVELS:
        raise InputError(f"a path has at most {MOST_LEVELS} parts, got {shown(path)}", "--set")
    if path.split(".")[0] not in sections:
        message = unknown_name("key", path.split(".")[0], sections)
        raise InputError([Problem(path, message)], source="--set")
    place: Any = data
    for depth, key in enumerate(parents):
        if isinstance(place, dict) and key in NAMED:
            place[key] = named(place.get(key, {}))
        place = place.setdefault(key, {}) if isinstance(place, dict) else _entry(place, key)
        if not isinstance(place, dict | list):
            here = ".".join(parents[: depth + 1])
            raise InputError([Problem(path, f"{here} holds {shown(place)}, no mapping")], "--set")
    if isinstance(place, list):
        if _entry(place, last) is None:
            raise InputError([Problem(path, f"there is no entry {last!r}")], source="--set")
        place[int(last)] = value
    else:
        place[last] = value


def _entry(place: list[Any], key: str) -> Any:
    is_number = key.isdecimal() and len(key) < 10
    return place[int(key)] if is_number and int(key) < len(place) else None


def save_experiment(experiment: Experiment, path: Path) -> None:
    """Write the experiment, every default spelled out, so that reading it back gives the same."""
    path.write_text(dump_yaml(experiment.plain()), encoding="utf-8")
