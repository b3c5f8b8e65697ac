"""Checkpoints of one trial, on any filesystem that pyarrow knows; the newest valid one counts."""

from __future__ import annotations

import hashlib
import io
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs

from spaces.problems import InputError, RunError, without_keys

KEPT_WHILE_RUNNING = 2
_DIGEST_BYTES = 32


class StorageError(RunError):
    """A storage can't be read or written, which is no fault of the trial."""


def filesystem(root: str) -> tuple[fs.FileSystem, str]:
    """The filesystem of a folder or a URI, and its path there.

    Raises:
        InputError: when the URI is none that pyarrow knows. (It is not shown: it may hold keys.)
        StorageError: when the storage does not answer.
    """
    if "://" not in root:
        return fs.LocalFileSystem(), str(Path(root).absolute())
    with _told(root, "reached"):
        try:
            files, path = fs.FileSystem.from_uri(root)
        except (ValueError, NotImplementedError):
            raise InputError(
                "is no URI that can be read: file:///folder, s3://bucket/path or gs://bucket/path; "
                "keys are best left to the environment, in a URI they must be percent-encoded",
                source="storage",
            ) from None
    return files, path.rstrip("/")


@contextmanager
def _told(root: str, done: str) -> Iterator[None]:
    """Turn what a filesystem says into one line; ``done``: what can't be, read or written."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error).split())
        raise StorageError(f"storage {without_keys(root)} can't be {done}: {reason}") from None


class Checkpoints:
    """The checkpoints of one trial.

    A file holds a SHA-256 digest and then what ``torch.save`` wrote; it is read back with
    ``weights_only=True``, so that nothing but tensors and plain values can come out of it.

    Args:
        root: a folder or a URI (``s3://bucket/path``).
        trial: the trial's number, whose folder below ``root`` is used.
    """

    def __init__(self, root: str, trial: int) -> None:
        self._fs, self._root = filesystem(root)
        self._is_local = isinstance(self._fs, fs.LocalFileSystem)
        self._shown = root
        self._folder = f"{self._root}/{trial}"
        self._is_made = False

    def save(self, epoch: int, state: dict[str, Any]) -> str:
        """Write the state after ``epoch`` and drop all but the last two; returns the path.

        Those of later epochs go, too: they were damaged, or the training would have gone on there.

        Raises:
            StorageError: when it can't be written, for a full disk or a storage that is gone.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getbuffer()
        path = f"{self._folder}/epoch-{epoch:06d}.pt"
        with _told(self._shown, "written"):
            if not self._is_made:
                self._fs.create_dir(self._folder, recursive=True)
                self._is_made = True
            with self._fs.open_output_stream(path) as stream:
                stream.write(hashlib.sha256(payload).digest())
                stream.write(payload)
            files = self._files()
            kept = [(number, file) for number, file in files if number <= epoch][
                :KEPT_WHILE_RUNNING
            ]
            self._delete(file for entry in files if entry not in kept for file in entry[1:])
        return path

    def keep_last(self, count: int) -> None:
        """Delete all but the newest ``count`` checkpoints.

        Raises:
            StorageError: when the storage fails.
        """
        with _told(self._shown, "written"):
            self._delete(path for _, path in self._files()[count:])

    def _delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._fs.delete_file(path)

    def load(self) -> dict[str, Any] | None:
        """The state of the newest checkpoint that is whole; None when there is none."""
        return next(self.load_all(), None)

    def load_all(self) -> Iterator[dict[str, Any]]:
        """The states of all checkpoints that are whole, the newest first.

        Raises:
            StorageError: when the storage fails; a file that can't be read is passed over.
        """
        with _told(self._shown, "read"):
            files = self._files()
        for _, path in files:
            with _told(self._shown, "read"):
                state = self._read(path)
            if state is not None:
                yield state

    def try_root(self) -> bool:
        """Make the root, and say whether it is empty.

        Raises:
            StorageError: when it can't be made.
        """
        with _told(self._shown, "written"):
            self._fs.create_dir(self._root, recursive=True)
            return not self._fs.get_file_info(fs.FileSelector(self._root))

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
        with _told(self._shown, "read"):
            return self._size([path for _, path in self._files()])

    def _size(self, paths: list[str]) -> int:
        return sum(info.size or 0 for info in self._fs.get_file_info(paths))

    def delete(self) -> int:
        """Delete all checkpoints of the trial; returns how many bytes they took.

        Raises:
            StorageError: when the storage fails.
        """
        with _told(self._shown, "written"):
            paths = [path for _, path in self._files()]
            freed = self._size(paths)
            self._delete(paths)
        return freed

    def _files(self) -> list[tuple[int, str]]:
        """(epoch, path) of every checkpoint, the newest first."""
        selector = fs.FileSelector(self._folder, allow_not_found=True)
        files = self._fs.get_file_info(selector)
        matches = [(re.fullmatch(r"epoch-(\d+)\.pt", file.base_name), file.path) for file in files]
        return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)

    def _read(self, path: str) -> dict[str, Any] | None:
        """What one file holds; None when its digest does not fit, or it holds anything else.

        A digest fits whatever somebody computed it for, so it says nothing of who wrote the file.
        """
        try:
            with self._fs.open_input_stream(path) as stream:
                content = stream.read()
        except OSError as error:
            if self._is_local or isinstance(error, FileNotFoundError):
                return None
            raise
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        try:
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception:  # UnpicklingError for a forbidden object; on other bytes, nearly any
            return None
        return state if isinstance(state, dict) else None


def check_savable(state: Any) -> None:
    """See that a state of the user's own code can be read back.

    Raises:
        TypeError: when it holds more than tensors, numbers, texts, lists and dicts.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except Exception as error:
        raise TypeError(
            "context.save takes tensors, numbers, texts, and lists and dicts of them; "
            f"this state cannot be read back: {error}"
        ) from None
