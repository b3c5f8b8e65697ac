"""Links in a run's folder: a run that came from elsewhere may hold some that lead out of it."""

from __future__ import annotations

from pathlib import Path

from spaces.problems import InputError


def unlinked(path: Path, folder: Path) -> Path:
    """A path that is about to be written or deleted, once no link stands on the way to it.

    Args:
        path: below ``folder``; it need not exist.
        folder: may be a link itself, for the user named it.

    Raises:
        InputError: when a part of the path below the folder is a symbolic link, wherever it leads.
    """
    place = folder
    for part in path.relative_to(folder).parts:
        place /= part
        if place.is_symlink():
            raise InputError(
                f"{place} is a link to {place.readlink()}, and a run's files are never written or "
                "deleted through a link; put a real file or folder in its place"
            )
    return path
