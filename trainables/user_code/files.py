"""The folder that the user's own code has for the files of one trial."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from spaces.links import unlinked
from spaces.problems import InputError, shown
from trainables.checkpoints.checkpoints import StorageError

Files: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class OwnFolder:
    """A folder of a trial's own in that of its run, made when it is first asked for.

    Args:
        run: the run's folder; None: there is no run, and the folder goes when this object does.
        name: the folder's, below the run's.
        origin: the name of another trial's, whose files it has from the start, if that is there.
        identity: of the configuration; a folder that another one left under this name, before the
            journal was cut off, is put aside. None: whichever was there.
    """

    def __init__(
        self,
        run: Path | None,
        name: str = "",
        origin: str | None = None,
        identity: str | None = None,
    ) -> None:
        self._run = run
        self._name = name
        self._origin = origin
        self._identity = identity
        self._made: Path | None = None

    def path(self) -> Path:
        """The folder, which is there from now on.

        Raises:
            StorageError: when it can't be made here.
        """
        if self._made is None:
            self._made = self._temporary() if self._run is None else self._make(self._run)
        return self._made

    def read(self, files: Files) -> dict[str, bytes]:
        """The contents of some files, those in folders too, by their paths below this folder.

        Raises:
            ValueError: when one is not there, or not in this folder.
        """
        held: dict[str, bytes] = {}
        for file in [files] if isinstance(files, str | os.PathLike) else files:
            folder = self.path().resolve()
            place = (folder / file).resolve()
            if not place.is_relative_to(folder):
                raise ValueError(f"context.save: {shown(str(file))} is not in {folder}")
            if not place.exists():
                raise ValueError(f"context.save: there is no {shown(str(file))} in {folder}")
            inside = sorted(place.rglob("*")) if place.is_dir() else [place]
            found = [path for path in inside if path.is_file()]
            held |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        return held

    def put_back(self, files: Mapping[str, bytes]) -> None:
        """Write files that ``read`` has read.

        Raises:
            StorageError: when they can't be written here, or a path leads out of this folder.
        """
        for name, content in files.items():
            place = self.path() / name
            if not place.resolve().is_relative_to(self.path().resolve()):
                raise StorageError(f"context.folder: {place} leads out of the trial's folder")
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            except OSError as error:
                reason = error.strerror or error
                raise StorageError(f"context.folder: {place} can't be written: {reason}") from None

    def _temporary(self) -> Path:
        folder = tempfile.mkdtemp(prefix="shoal-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def _make(self, run: Path) -> Path:
        if not run.is_dir():
            raise StorageError(
                f"context.folder: {platform.node()} does not see {run}; put the run where every "
                "node sees it (--run), keep what must last with context.save, and what need not in "
                "a folder of Python's tempfile"
            )
        folder = run / self._name
        if not folder.resolve().is_relative_to(run.resolve()):
            raise StorageError(f"context.folder: {folder} leads out of the run's folder")
        try:
            if self._identity is not None:
                self._mark(unlinked(folder.with_name(f".{folder.name}.of"), run), folder)
            self._fill(folder, run)
        except InputError as error:
            raise StorageError(f"context.folder: {error}") from None
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"context.folder: {folder} can't be made: {reason}") from None
        return folder

    def _mark(self, note: Path, folder: Path) -> None:
        """Note beside the folder whose it is, and put aside one that is another's."""
        identity = str(self._identity)
        is_noted = note.is_file()  # earlier versions have none
        if is_noted and note.read_bytes() != identity.encode() and folder.exists():
            aside = folder.with_name(f"{folder.name}-earlier")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(folder, aside)
        folder.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(identity)

    def _fill(self, folder: Path, run: Path) -> None:
        origin = None if self._origin is None else run / self._origin
        if origin is None or folder.exists() or not origin.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            return
        half = folder.with_name(f".{folder.name}")  # a copy that was cut off is no folder yet
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(origin, half, symlinks=True)
        os.replace(half, folder)
