"""What a bundle takes along of the project of the user's own code, and what is left out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces.imports import Reference, parse_reference
from spaces.kept.data_files import source_files
from spaces.opened import MOST_FILES, base_of
from spaces.problems import InputError

CODE = "code"  # the folder in a bundle
LARGEST_FILE = 10_000_000  # bytes; larger ones are datasets
LARGEST_SUM = 50_000_000


@dataclass(frozen=True)
class Taken:
    """The files of a project that are taken along.

    ``base``: in a bundle, ``code/`` stands for this folder. ``reference``: the code, as the bundle
    names it. ``files``: by their paths below ``base``. ``left_out``: paths, each with the reason.
    """

    base: Path
    reference: str
    files: tuple[str, ...]
    left_out: Mapping[str, str]

    def copy(self, bundle: Path) -> None:
        """Copy the files into a bundle.

        Raises:
            ValueError: when a name leads out of it.
        """
        for name in self.files:
            if os.path.isabs(name) or ".." in Path(name).parts:
                raise ValueError(f"{name} leads out of the bundle")
            target = bundle / CODE / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.base / name, target)

    def plain(self) -> dict[str, Any]:
        """As ``code.json`` holds it."""
        return {"files": list(self.files), "left_out": dict(self.left_out)}


def take(trainable: str, record: Any = None) -> Taken:
    """Choose what of a project a bundle takes along.

    Args:
        trainable: the reference to the code.
        record: what the training noted that it took, see ``spaces.code.files_taken``; without it
            the modules are taken that the source imports.

    Raises:
        InputError: when the code is gone.
    """
    try:
        reference = parse_reference(trainable)
    except InputError as error:
        raise InputError(error.problems, source="trainable") from None
    noted, folder = _checked(record)
    base = base_of(reference.root, os.path.normpath(reference.root / folder))
    source = {str(file) for file in source_files(reference)}
    noted_paths = {os.path.normpath(reference.root / name) for name in noted}
    files: list[str] = []
    left_out: dict[str, str] = {}
    total = 0
    for path in sorted({*source, *noted_paths}, key=lambda path: (path not in source, path)):
        name = Path(os.path.relpath(path, base)).as_posix()
        reason, size = (None, 0) if path in source else _reason(Path(path), base)
        if total + size > LARGEST_SUM:
            reason = reason or f"with it there were more than {LARGEST_SUM // 10**6} MB"
        if size and len(files) >= MOST_FILES:
            reason = reason or f"there are more than {MOST_FILES:,} files"
        if reason is None:
            files.append(name)
            total += size
        else:
            left_out[name] = reason
    return Taken(base, _named(reference, trainable, base), tuple(files), left_out)


def _checked(record: Any) -> tuple[list[str], str]:
    """The paths in a record, and its folder; a checkpoint that somebody made may hold anything."""
    held = record if isinstance(record, dict) else {}
    files, folder = held.get("files"), held.get("folder")
    names = files if isinstance(files, list) else []
    named = [name for name in names if isinstance(name, str) and "\0" not in name]
    return named, folder if isinstance(folder, str) and "\0" not in folder else "."


def _reason(path: Path, base: Path) -> tuple[str | None, int]:
    """Why a file is left out, if it is; and its size in bytes."""
    if not path.is_relative_to(base):
        return "it lies outside of the project", 0
    if any(part.startswith(".") for part in path.relative_to(base).parts):
        return "it is hidden", 0
    if not os.path.isfile(path):
        return "it is gone", 0
    size = path.stat().st_size
    if size > LARGEST_FILE:
        return f"it has {size / 1e6:.0f} MB; up to {LARGEST_FILE // 10**6} are taken along", size
    return None, size


def _named(reference: Reference, trainable: str, base: Path) -> str:
    place, _, function = trainable.rpartition(":")
    if place.endswith(".py"):
        return f"{CODE}/{reference.file.relative_to(base).as_posix()}:{function}"
    root = reference.root.relative_to(base).as_posix()
    return f"{CODE}/{'' if root == '.' else f'{root}/'}{reference.module}:{function}"


def running_folder(bundle: Path, left_out: Iterable[str]) -> Path | None:
    """Where the code of a bundle finds the files that it opens; None: in the current folder.

    Args:
        bundle: its folder.
        left_out: files of the project that it does not hold.
    """
    code = bundle / CODE
    if not code.is_dir():
        return None
    missing = [name for name in left_out if not os.path.exists(code / name)]
    return None if any(os.path.exists(name) for name in missing) else code
