"""Checkpoints of one trial, on any filesystem that pyarrow knows; the newest valid one counts."""

from __future__ import annotations

import hashlib
import io
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pyarrow import fs

from spaces.links import unlinked
from spaces.problems import InputError, RunError, without_keys
from trainables.checkpoints.limits import UnfoldingError, check_entries, check_unfolded

KEPT_WHILE_RUNNING = 2
MOST_BYTES = 16 * 2**30  # of a checkpoint of the user's own code, whose size nobody can foresee
_DIGEST_BYTES = 32


class _File(NamedTuple):
    epoch: int
    path: str
    size: int  # in bytes


class StorageError(RunError):
    """A storage can't be read or written, which is no fault of the trial."""


def filesystem(root: str) -> tuple[fs.FileSystem, str]:
    """The filesystem of a folder or a URI, and its path there.

    Raises:
        InputError: when the URI is none that pyarrow knows.
        StorageError: when the storage does not answer.
    """
    if "://" not in root:
        return fs.LocalFileSystem(), str(Path(root).absolute())
    with _in_a_line(root, "reached"):
        try:
            files, path = fs.FileSystem.from_uri(root)
        except (ValueError, NotImplementedError):
            raise InputError(
                "is no URI that can be read: file:///folder, s3://bucket/path or gs://bucket/path; "
                "other characters than letters, digits and -._~/ must be percent-encoded",
                source="storage",
            ) from None
    return files, path.rstrip("/")


@contextmanager
def _in_a_line(root: str, done: str) -> Iterator[None]:
    """Turn what a filesystem says into one line; ``done``: what can't be, read or written."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error).split())
        raise StorageError(f"storage {without_keys(root)} can't be {done}: {reason}") from None


class Unreadable(NamedTuple):
    """A checkpoint that is there and can't be read."""

    epoch: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} can't be read: {self.reason}"


class Checkpoints:
    """The checkpoints of one trial; ``unreadable`` are those that reading came upon.

    A file holds a SHA-256 digest and then what ``torch.save`` wrote; it is read back with
    ``weights_only=True``, so that nothing but tensors and plain values can come out of it.

    Args:
        root: a folder or a URI (``s3://bucket/path``).
        trial: the trial's number, whose folder below ``root`` is used.
        most_bytes: what a checkpoint may have; larger ones are passed over, and never read.
    """

    def __init__(self, root: str, trial: int, most_bytes: int = MOST_BYTES) -> None:
        self._fs, self._root = filesystem(root)
        self._most_bytes = most_bytes
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)
        self._shown = root
        self._folder = f"{self._root}/{trial}"
        self._is_made = False
        self.unreadable: list[Unreadable] = []

    @property
    def root(self) -> str:
        """The folder of all trials, as the filesystem names it."""
        return self._root

    def save(self, epoch: int, state: dict[str, Any]) -> str:
        """Write the state after ``epoch`` and drop all but the last two; returns the path.

        Those of later epochs go, too: they were damaged, or the training would have gone on there.

        Raises:
            StorageError: when it can't be written, for a full disk or a storage that is gone.
            ValueError: when the state is too large, or reading would refuse it.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getbuffer()
        if len(payload) > self._most_bytes:
            raise ValueError(
                f"a checkpoint may have {self._most_bytes:,} bytes, this state has {len(payload):,}"
            )
        try:
            check_unfolded(state, len(payload))
        except UnfoldingError as error:
            raise ValueError(f"this state could not be read back: {error}") from None
        path = f"{self._folder}/epoch-{epoch:06d}.pt"
        self._check_links(path)
        with _in_a_line(self._shown, "written"):
            if not self._is_made:
                self._fs.create_dir(self._folder, recursive=True)
                self._is_made = True
            with self._fs.open_output_stream(path) as stream:
                stream.write(hashlib.sha256(payload).digest())
                stream.write(payload)
            files = self._files()
            kept = [file for file in files if file.epoch <= epoch][:KEPT_WHILE_RUNNING]
            self._delete(file.path for file in files if file not in kept)
        return path

    def keep_last(self, count: int) -> None:
        """Delete all but the newest ``count`` checkpoints.

        Raises:
            StorageError: when the storage fails.
        """
        with _in_a_line(self._shown, "written"):
            self._delete(file.path for file in self._files()[count:])

    def _delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._check_links(path)
            with suppress(FileNotFoundError):  # the driver and the worker may both tidy up
                self._fs.delete_file(path)

    def _check_links(self, path: str) -> None:
        """See that no link stands on the way from the root to what is written or deleted.

        Raises:
            StorageError: when there is one.
        """
        if self._is_local:
            try:
                unlinked(Path(path), Path(self._root))
            except InputError as error:
                raise StorageError(str(error)) from None

    def load(self) -> dict[str, Any] | None:
        """The state of the newest checkpoint that is whole; None when there is none."""
        return next(self.load_all(), None)

    def load_all(self) -> Iterator[dict[str, Any]]:
        """The states of all checkpoints that are whole, the newest first.

        Raises:
            StorageError: when the storage fails; a file that can't be read is passed over, and
                noted in ``unreadable``.
        """
        with _in_a_line(self._shown, "read"):
            files = self._files()
        self.unreadable = []
        for file in files:
            with _in_a_line(self._shown, "read"):
                state = self._read(file)
            if isinstance(state, str):
                self.unreadable.append(Unreadable(file.epoch, file.path, state))
            else:
                yield state

    def try_root(self) -> bool:
        """Make the root, and say whether it is empty.

        Raises:
            StorageError: when it can't be made.
        """
        with _in_a_line(self._shown, "written"):
            self._fs.create_dir(self._root, recursive=True)
            return not self._fs.get_file_info(fs.FileSelector(self._root))

    def has_neighbour(self, folder: str) -> bool:
        """Whether another folder of the same storage holds anything.

        Raises:
            StorageError: when the storage fails.
        """
        selector = fs.FileSelector(folder, allow_not_found=True)
        with _in_a_line(self._shown, "read"):
            return folder != self._root and bool(self._fs.get_file_info(selector))

    def exist(self) -> bool:
        """Whether there is any, whole or not.

        Raises:
            StorageError: when the storage fails.
        """
        with _in_a_line(self._shown, "read"):
            return bool(self._files())

    def check_root(self) -> None:
        """See that the root, which the driver made, is seen on this machine, too.

        Raises:
            StorageError: when it is not. (An object store has no folders: it is not asked.)
        """
        if self._is_local and not Path(self._root).is_dir():
            raise StorageError(
                f"{platform.node()} does not see {self._root}; set storage: to a folder that every "
                "node sees, or to an object store"
            )

    def size(self) -> int:
        """How many bytes all checkpoints of the trial take.

        Raises:
            StorageError: when the storage fails.
        """
        with _in_a_line(self._shown, "read"):
            return sum(file.size for file in self._files())

    def delete(self) -> int:
        """Delete all checkpoints of the trial; returns how many bytes they took.

        Raises:
            StorageError: when the storage fails.
        """
        with _in_a_line(self._shown, "written"):
            files = self._files()
            self._delete(file.path for file in files)
        return sum(file.size for file in files)

    def _files(self) -> list[_File]:
        """Every checkpoint, the newest first."""
        selector = fs.FileSelector(self._folder, allow_not_found=True)
        found = [info for info in self._fs.get_file_info(selector) if info.is_file]
        matches = [(re.fullmatch(r"epoch-(\d+)\.pt", info.base_name), info) for info in found]
        files = [_File(int(m[1]), info.path, info.size or 0) for m, info in matches if m]
        return sorted(files, reverse=True)

    def _read(self, file: _File) -> dict[str, Any] | str:
        """What one file holds; or why it can't be told, when it is damaged or no state.

        A digest fits whatever somebody computed it for, so it says nothing of who wrote the file.
        """
        if file.size > self._most_bytes + _DIGEST_BYTES:
            most = f"a checkpoint of this configuration has at most {self._most_bytes:,}"
            return f"it has {file.size:,} bytes, and {most}"
        try:
            with self._fs.open_input_stream(file.path) as stream:
                content = stream.read()
        except OSError as error:
            if self._is_local or isinstance(error, FileNotFoundError):
                return str(error)
            raise
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != digest:
            return "its checksum does not fit, so it was cut off or changed"
        try:
            check_entries(payload)
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            check_unfolded(state, len(payload))
        except UnfoldingError as error:
            return str(error)
        except Exception as error:  # UnpicklingError for a forbidden object; on other bytes, any
            forbidden = re.search(r"GLOBAL (\S+)", str(error))
            return f"it holds {forbidden[1]}" if forbidden else "PyTorch finds no state in it"
        return state if isinstance(state, dict) else "it holds no state of a training"
