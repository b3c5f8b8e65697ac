"""The fingerprint of a user's own code: of the file that is named, and what it imports."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from spaces.imports import parse_reference
from spaces.kept.data_files import source_files
from spaces.problems import InputError


def code_fingerprint(*references: str) -> dict[str, str]:
    """The SHA-256 of every file of the user's code, by its path below the project's folder.

    The files are read, never run: an import counts where a statement names it, also inside a
    function; what code imports by a name that it makes up is not seen. Code that is gone has none.
    The data that a run has kept with the source of a function is part of it.

    Args:
        references: each ``folder/my_code.py:function`` or ``folder/package.module:function``.
    """
    found: dict[str, str] = {}
    seen: set[Path] = set()
    for text in references:
        with suppress(InputError):
            reference = parse_reference(text)
            for path in source_files(reference):
                if path in seen or not path.is_relative_to(reference.root):
                    continue
                seen.add(path)
                name = path.relative_to(reference.root).as_posix()
                found[f"{name} (space)" if name in found else name] = _digest(path)
    return found


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"can't be read: {error.strerror}"
