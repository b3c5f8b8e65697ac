"""The chain of a journal: each line ends with a hash of itself and of all lines before it.

So a line that was changed, added, moved or removed later is found, and where. Two limits: the last
lines can be cut off unnoticed, and anybody can compute the hashes anew. The chain finds accidents
and careless edits; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

_LINK = re.compile(rb',"chain":"([0-9a-f]{16})"\}\n?$')


class Chain:
    """The hash of the lines so far; lines of earlier versions carry none, but count as well."""

    def __init__(self) -> None:
        self.link = ""

    def extend(self, body: bytes) -> None:
        """Take a line in, without its own hash and without its end."""
        self.link = hashlib.sha256(self.link.encode() + body).hexdigest()[:16]

    def close(self, body: bytes) -> bytes:
        """Take a line in; returns it as it is written, with its hash."""
        self.extend(body)
        return body[:-1] + f',"chain":"{self.link}"}}\n'.encode()


def split(line: bytes) -> tuple[bytes, str | None]:
    """A written line without its hash, and the hash; None where it carries none."""
    found = _LINK.search(line)
    if found is None:
        return line.rstrip(b"\n"), None
    return line[: found.start()] + b"}", found[1].decode()


def broken_text(line: int) -> str:
    """What a link that is broken at this line means."""
    change = "a line was changed, added, moved or removed here after it was written"
    return f"line {line} does not fit the lines before it: {change}"


def broken_link(file: Path) -> int | None:
    """The number of the first line that does not fit those before it; None where all do.

    A journal that earlier versions wrote has no hash at all, or none in its first lines: a change
    among these is found at the first line that has one. Where the first line says that this version
    wrote it, it has a hash.
    """
    chain, has_begun = Chain(), False
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            body, link = split(line)
            chain.extend(body)
            must_have = has_begun or (number == 1 and _is_of_this_version(body))
            if link not in (None, chain.link) or (link is None and must_have):
                return number
            has_begun = link is not None
    return None


def _is_of_this_version(first: bytes) -> bool:
    """Whether the first line of a journal has what only versions with a chain write."""
    try:
        event = json.loads(first)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("divergence") == "known_losses"
