"""YAML: text to plain data and back; only texts, numbers, lists and mappings get through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from spaces.problems import InputError, shortened

MOST_BYTES = 100_000
MOST_VALUES = 10_000
MOST_LEVELS = 20
_LONGEST_NUMBER = 100

_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "merge")}


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, with the numbers of YAML 1.2; it looks at the nodes first."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Begin a list or mapping in brackets; each level makes the scanner slower."""
        if self.flow_level >= MOST_LEVELS:
            problem = f"brackets stand in more than {MOST_LEVELS} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)

    def get_single_node(self) -> yaml.Node | None:
        """The document, before anything is made of it.

        Raises:
            yaml.MarkedYAMLError: when it holds more than plain data, or too much of it.
        """
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node


def _measure(node: yaml.Node, known: dict[yaml.Node, tuple[int, int]]) -> tuple[int, int]:
    """How many values a node stands for, and in how many levels, each alias written out."""
    if node in known:
        values, levels = known[node]
        if values == 0:
            raise _fault(node, "an alias stands within what it names")
        return values, levels
    known[node] = 0, 0
    values, levels = 1, 0
    for child in _children(node):
        more, below = _measure(child, known)
        values, levels = values + more, max(levels, below)
        if values > MOST_VALUES or levels >= MOST_LEVELS:
            rule = f"at most {MOST_VALUES} values, in {MOST_LEVELS} levels"
            raise _fault(node, f"{rule}, can stand in a file")
    known[node] = values, levels + 1
    return known[node]


def _children(node: yaml.Node) -> list[yaml.Node]:
    """The nodes that a node holds; refuses those of which nothing plain can be made."""
    if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
        _check_scalar(node)
        return []
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return list(node.value)
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        _check_keys(node)
        return [child for pair in node.value for child in pair]
    tag = shortened(node.tag.replace(_TAG, "!!"), _LONGEST_NUMBER)
    rule = "must hold texts, numbers, true, false, null, lists and mappings only"
    raise _fault(node, f"{rule}, got the tag {tag} (a date is quoted)")


def _check_scalar(node: yaml.ScalarNode) -> None:
    if node.tag != _TAG + "str":
        if len(node.value) > _LONGEST_NUMBER:
            raise _fault(node, f"a number has at most {_LONGEST_NUMBER} characters")
        _check_versions(node)
    if re.search("[\ud800-\udfff]", node.value):
        raise _fault(node, "a text holds half of a surrogate pair")


def _check_versions(node: yaml.ScalarNode) -> None:
    """Refuse what YAML 1.1 reads as one value and YAML 1.2 as another."""
    text = node.value
    if _UNLIKE_NUMBERS.match(text):
        plain = "a plain decimal number"
    elif node.tag == _TAG + "bool" and text.lower() in ("yes", "no", "on", "off"):
        plain = "true" if text.lower() in ("yes", "on") else "false"
    else:
        return
    rule = "is one thing in YAML 1.1 and another in YAML 1.2"
    raise _fault(node, f"{text} {rule}: write {plain}, or '{text}' in quotes for a text")


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(key, "a key must be a text, got a list or a mapping")
        if key.value in seen:
            raise _fault(key, f"the key {shortened(key.value, _LONGEST_NUMBER)!r} stands twice")
        seen.add(key.value)


def _fault(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper, which also quotes the texts that ``_Loader`` would read otherwise."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        """A text; one with a line break of Unicode's own is quoted, or it would become a space."""
        style = '"' if set(text) & set("\x85\u2028\u2029") else None
        return self.represent_scalar(_TAG + "str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


# 1e-4, -.5 and .5e3 are numbers in YAML 1.2, but not for PyYAML
_FLOATS = re.compile(r"^[-+]?(\.\d+|\d[\d_]*(\.\d*)?[eE][-+]?\d+|\.\d+[eE][-+]?\d+)$")
# 0123 (octal in YAML 1.1), 0o17 (in YAML 1.2), 0b11, 1:30 (to the base of 60)
_UNLIKE_NUMBERS = re.compile(r"^[-+]?(0[\d_]+|0o[0-7]+|0b[01_]+|\d[\d_]*(:[\d_.]+)+)$")

for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(_TAG + "float", _FLOATS, list("-+.0123456789"))
    _kind.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?0(o[0-7]+|\d+)$"), list("-+0"))


def parse_yaml(text: str) -> Any:
    """The plain data that a YAML text stands for.

    Raises:
        InputError: when it is no YAML, or stands for more than plain data.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"has more than {MOST_BYTES} characters")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise InputError(f"is no YAML{line}: {error.problem}") from None
    except RecursionError:
        raise InputError(f"is nested in more than {MOST_LEVELS} levels") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"is no YAML: {' '.join(str(error).split())}") from None
    except LookupError:
        raise InputError("is no YAML: a value does not fit its tag") from None


def read_mapping(path: Path, missing: str = "there is no such file") -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: the file.
        missing: what to say where there is none.

    Raises:
        InputError: when the file is not there, is no YAML or holds no mapping.
    """
    try:
        data = parse_yaml(read_text(path, missing))
    except InputError as error:
        raise InputError(error.problems, source=str(path)) from None
    if not isinstance(data, dict):
        raise InputError(f"must hold a mapping, got {type(data).__name__}", str(path))
    return {str(key): value for key, value in data.items()}


def read_text(
    path: Path, missing: str = "there is no such file", most_bytes: int = MOST_BYTES
) -> str:
    """A small text file.

    Args:
        path: the file.
        missing: what to say where there is none.
        most_bytes: what it may have.

    Raises:
        InputError: when the file is not there, is too large, or holds no text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise InputError(f"has more than {most_bytes} bytes")
        return content.decode()
    except FileNotFoundError:
        raise InputError(missing) from None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a ValueError: bytes that are no text, a path with NUL
        raise InputError(f"cannot be read: {error}") from None


def dump_yaml(data: dict[str, Any]) -> str:
    """YAML that ``read_mapping`` reads back to the same data, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
