"""Damage for the fuzz test: bytes and lines, and values that a loader may stumble over."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

Place = tuple[dict[Any, Any] | list[Any], Any]  # what holds a value, and its key or index there


def laughs(levels: int, width: int, level: str) -> str:
    """YAML of a few hundred bytes that stands for ``width ** levels`` values."""
    lines = ["a0: &a0 {x: 1}"]
    for number in range(1, levels + 1):
        held = ", ".join([f"*a{number - 1}"] * width)
        lines.append(f"a{number}: &a{number} {level.format(held)}")
    return "{" + ", ".join(lines) + "}"


_LONG = "x" * 20_000
_TEXTS = [_LONG, "../../etc/passwd", "/dev/null", "~nobody-at-all/x", "a/b.py:f", "..", "\\"]
BOTH = [
    *("null", "true", "false", "0", "-1", "1", "2", "0.5", "-0.0", "1e400", "-1e400", "1e308"),
    *("5e-324", "99999999999", "1000000000000", "9007199254740993", "-9223372036854775809"),
    *("1" * 30, "9" * 90, "9" * 400, "9" * 5000, "[]", "{}", "[[]]", "[1, 2]", '{"a": 1}', '""'),
    *('"\\u0000"', '"\\u001b[31m"', '"\\u202e"', '"[/b]"', '"nan"', '"é\\n"', '"\\ud800"'),
    *(json.dumps(text) for text in _TEXTS),
    "[" * 100 + "]" * 100,
    "[" * 5000,
    '{"a": ' * 150 + "1" + "}" * 150,
]
JSON_VALUES = [*BOTH, "NaN", "Infinity", "-Infinity", "", "01", "'x'", "[1, 2", '{"a": 1, "a": 2}']
YAML_VALUES = [
    *BOTH,
    *("", "~", ".nan", ".inf", "-.inf", "no", "0x" + "f" * 5000, "1:2:3", "1:" * 3000 + "1", "1_0"),
    *("2001-01-01", "2001-99-99", "{low: 0, high: 1000000000000, step: 1}", "=", "@", "*nobody"),
    *("{low: 0.0, high: 1.0e+300, step: 1.0e-300}", "{low: -1.0e+308, high: 1.0e+308}"),
    *("&a [*a]", "&a {a: *a}", "{[a]: b}", "{{a: b}: c}", "{? [a] : b}", "{a: 1, a: 2}", "{1: 2}"),
    *("!!set {a, b}", "!!set [a]", "!!omap [a: 1]", "!!pairs [a: 1]", "!!binary aGk=", "!!null x"),
    *("!!timestamp x", "!!int x", "!!int ''", "!!float x", "!!bool x", "!!binary é", "!!map [1]"),
    *("!!seq {a: 1}", "!!str {a: 1}", "!!str 1", "!!float 1", "!mine x", "!!python/none", "! x"),
    *("!!python/object/apply:os.abort []", "!!python/name:os.abort", "!!python/module:os"),
    *("!!python/object/new:os.abort []", "{<<: 1}", "{<<: [1]}", "{<<: {a: 1}}", '"\\xff"'),
    laughs(12, 9, "[{}]"),
    laughs(40, 2, "{{x: [{}]}}"),
    laughs(12, 9, "{{<<: [{}]}}"),
    "|\n      lines\n      of text",
    "x" * 200_000,
]


_PIECES = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\t", b"\r", b"\n", b"\xc2\x85", b"\xe2\x80\xa8", b"\x1b"),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"\xf0\x9f\x90\x9f", b"\xed\xa0\x80", b"9" * 40),
    *b": |- |{|}|[|]|'|#|!!|? |<<: |&a |*a |\"|,".split(b"|"),
]


def damage(content: bytes, rng: random.Random) -> bytes:
    """Change a few bytes or lines."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        content = rng.choice(_DAMAGES)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    piece = rng.choice(_PIECES)
    return content[:place] + piece + content[place:]


def _cut(content: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(content) + 1)
    return content[:first] + content[first + rng.randrange(40) :]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _lines(change: Callable[[list[bytes], random.Random], None]) -> Callable[..., bytes]:
    def damaged(content: bytes, rng: random.Random) -> bytes:
        lines = content.splitlines(keepends=True) or [b""]
        change(lines, rng)
        return b"".join(lines)

    return damaged


def _drop(lines: list[bytes], rng: random.Random) -> None:
    del lines[rng.randrange(len(lines))]


def _double(lines: list[bytes], rng: random.Random) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def _swap(lines: list[bytes], rng: random.Random) -> None:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _indent(lines: list[bytes], rng: random.Random) -> None:
    number = rng.randrange(len(lines))
    lines[number] = rng.choice((b"  ", b" ", b"\t", b"    ")) + lines[number]


_DAMAGES = (_flip, _insert, _cut, _truncate, *map(_lines, (_drop, _double, _swap, _indent)))


def places(data: Any) -> Iterator[Place]:
    """Every value below ``data``, by what holds it."""
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from places(data[key])


def rearrange(data: Any, rng: random.Random) -> Any:
    """A copy in which a value is removed, doubled, moved, scaled, or put under another name."""
    changed = copy.deepcopy(data)
    found = list(places(changed))
    if not found:
        return changed
    (held, key), (other, other_key) = rng.choice(found), rng.choice(found)
    value = held[key]
    kind = rng.randrange(6)
    if kind == 0:
        del held[key]
    elif kind == 1 and isinstance(held, list):
        held.insert(key, copy.deepcopy(value))
    elif kind == 1:
        held[f"{key}{rng.choice(('', 's', '.0', '_'))}"] = held.pop(key)
    elif kind == 2:
        held[key] = copy.deepcopy(other[other_key])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        held[key] = rng.choice((value + 1, value - 1, -value, value * 1000, float(value), 0))
    else:
        held[key] = rng.choice(([value], {"a": value}, str(value), None, [value, value]))
    return changed


def with_value(data: Any, rng: random.Random, values: Sequence[str], as_yaml: bool) -> str:
    """JSON or YAML of ``data`` with one value, or one key, replaced by raw text."""
    changed = copy.deepcopy(data)
    found = list(places(changed))
    if not found:
        return rng.choice(values)
    held, key = rng.choice(found)
    if isinstance(held, dict) and rng.random() < 0.1:
        held["_RAW_"] = held.pop(key)
    else:
        held[key] = "_RAW_"
    if as_yaml:
        style = rng.choice((None, False, True))
        text = yaml.safe_dump(changed, sort_keys=False, default_flow_style=style, width=10_000)
    else:
        text = json.dumps(changed)
    value = rng.choice(values)
    return re.sub('"?_RAW_"?', lambda _: value, text, count=1)


def damage_tensors(content: bytes, rng: random.Random) -> bytes:
    """A safetensors file: an 8-byte length, a JSON header of that length, then the numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    header, numbers = content[8 : 8 + length], content[8 + length :]
    kind = rng.randrange(6)
    if kind == 0:
        return damage(content, rng)
    if kind == 1:
        lie = rng.choice((0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1))
        return struct.pack("<Q", lie) + header + numbers
    if kind == 2:
        numbers = rng.choice((b"", numbers[:-1], numbers + b"\0" * 4, numbers * 2))
    else:
        header = _damaged_header(json.loads(header), rng)
    return struct.pack("<Q", len(header)) + header + numbers


def _damaged_header(header: dict[str, Any], rng: random.Random) -> bytes:
    tensors = [name for name in header if name != "__metadata__"]
    place = header[rng.choice(tensors)]
    kind = rng.randrange(5)
    if kind == 0:
        place["dtype"] = rng.choice(("F16", "F64", "I32", "BOOL", "F8_E4M3", "C64", "", "X", 1))
    elif kind == 1:
        sizes = ([], [1], [0], [2**62, 4], [-1], [10**12], place["shape"][::-1], [1] * 70)
        place["shape"] = rng.choice(sizes)
    elif kind == 2:
        first, last = place["data_offsets"]
        ends = ([0, 0], [last, first], [first, last + 4], [first, 2**63], [first - 4, last], [0])
        place["data_offsets"] = rng.choice(ends)
    elif kind == 3:
        return json.dumps(rearrange(header, rng)).encode()
    else:
        text = with_value(header, rng, JSON_VALUES, as_yaml=False)
        return text.encode(errors="surrogatepass")
    return json.dumps(header).encode()
