"""Reading and writing experiment files, and the ready-made studies."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from spaces.checks import parse_experiment
from spaces.code import absolute_reference
from spaces.experiment import Experiment
from spaces.problems import InputError, Problem, unknown_name

STUDIES = Path(__file__).parent / "studies"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also reads 1e-4 as a number and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper, which also quotes the texts that ``_Loader`` would read otherwise."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        """A text; one with a line break of Unicode's own is quoted, or it would become a space."""
        style = '"' if set(text) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )


def studies() -> dict[str, Path]:
    """The ready-made studies: name to file."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}


def load_experiment(spec: str | Path, changes: Sequence[str] = ()) -> Experiment:
    """Read an experiment file, or a ready-made study by its name.

    Args:
        spec: a path, or the name of a study.
        changes: settings that replace those of the file, each as ``a.b=value``.

    Raises:
        InputError: with every mistake in the file or the changes.
    """
    path = Path(spec)
    if not path.exists():
        path = studies().get(str(spec), path)
    is_file_name = path.suffix in (".yaml", ".yml") or len(path.parts) > 1
    missing = f"neither a file nor a study; {unknown_name('study', str(spec), studies())}"
    data = read_mapping(path, "there is no such file" if is_file_name else missing)
    for change in changes:
        set_path(data, change)
    for key in ("trainable", "space"):
        if isinstance(data.get(key), str):
            data[key] = absolute_reference(data[key], path.parent)
    dataset = data.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("root"), str):
        data["dataset"] = {**dataset, "root": str(Path(dataset["root"]).expanduser().resolve())}
    storage = data.get("storage")
    if isinstance(storage, str) and "://" not in storage:
        data["storage"] = str(Path(storage).expanduser().resolve())
    try:
        return parse_experiment(data)
    except InputError as error:
        raise InputError(error.problems, source=str(spec)) from None


def read_mapping(path: Path, missing: str = "there is no such file") -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: the file.
        missing: what to say where there is none.

    Raises:
        InputError: when the file is not there, is no YAML or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(missing, source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", source=str(path)) from None
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise InputError(f"is no YAML{line}: {error.problem}", str(path)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"is no YAML: {' '.join(str(error).split())}", str(path)) from None
    if not isinstance(data, dict):
        raise InputError(f"must hold a mapping, got {type(data).__name__}", str(path))
    return {str(key): value for key, value in data.items()}


def set_path(data: dict[str, Any], change: str) -> None:
    """Apply one ``a.b=value`` (the value in YAML) to the data of a file.

    Raises:
        InputError: when the change has no ``=`` or its path leads nowhere.
    """
    path, separator, text = change.partition("=")
    if not separator or not path:
        raise InputError(f"must look like a.b=value, got {change!r}", source="--set")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"the value of {path} is no YAML: {text!r}", source="--set") from None
    *parents, last = path.split(".")
    if path.split(".")[0] not in Experiment.model_fields:
        message = unknown_name("key", path.split(".")[0], Experiment.model_fields)
        raise InputError([Problem(path, message)], source="--set")
    place: Any = data
    for depth, key in enumerate(parents):
        place = place.setdefault(key, {}) if isinstance(place, dict) else _entry(place, key)
        if not isinstance(place, dict | list):
            here = ".".join(parents[: depth + 1])
            raise InputError([Problem(path, f"{here} holds {place!r}, no mapping")], "--set")
    if isinstance(place, list):
        if _entry(place, last) is None:
            raise InputError([Problem(path, f"there is no entry {last!r}")], source="--set")
        place[int(last)] = value
    else:
        place[last] = value


def _entry(place: list[Any], key: str) -> Any:
    return place[int(key)] if key.isdecimal() and int(key) < len(place) else None


def dump_yaml(data: dict[str, Any]) -> str:
    """YAML that ``read_mapping`` reads back to the same data, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def save_experiment(experiment: Experiment, path: Path) -> None:
    """Write the experiment, every default spelled out, so that reading it back gives the same."""
    path.write_text(dump_yaml(experiment.plain()), encoding="utf-8")
