"""Where Tune puts its own files while a session lasts; none of them stays, also after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX = "shoal-"
_HELD = "held"  # locked as long as the process lives that made the folder
_ELSEWHERE = "elsewhere"  # names what Tune makes below Ray's session folder


class Scratch:
    """A temporary folder of this process.

    ``name``: that of its Tune experiment, too, so that nobody else's has the same.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._elsewhere: Path | None = None

    def note(self, folder: Path) -> None:
        """Note the folder of the Tune experiment below Ray's session folder, so that it goes, too.

        Args:
            folder: ``<Ray's session>/artifacts/<time>/<name>``.
        """
        if self._elsewhere is None:
            self._elsewhere = folder
            (self.path / _ELSEWHERE).write_text(str(folder), encoding="utf-8")


@contextlib.contextmanager
def scratch() -> Iterator[Scratch]:
    """A temporary folder, and none of those that killed processes left behind."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    with _held(path):
        try:
            yield Scratch(path)
        finally:
            _remove(path)


def _held(path: Path) -> IO[str]:
    """Lock a folder; the file has its name only once it is locked."""
    new = path / f".{_HELD}"
    file = new.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    new.rename(path / _HELD)
    return file


def _remove_if_left(path: Path) -> None:
    """Remove a folder of ours whose process does not live any more."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or path.stat().st_uid != os.getuid():
            return
        with (path / _HELD).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder, and the one that it names."""
    with contextlib.suppress(OSError):
        elsewhere = Path((path / _ELSEWHERE).read_text(encoding="utf-8"))
        if elsewhere.name == path.name and elsewhere.parents[1].name == "artifacts":
            shutil.rmtree(elsewhere, ignore_errors=True)
            elsewhere.parent.rmdir()  # of the second in which it began; others may be in there
    shutil.rmtree(path, ignore_errors=True)
