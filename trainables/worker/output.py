"""What is printed in a worker goes to the log of the trial that runs, whoever prints it."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import tempfile
from contextlib import AbstractContextManager
from typing import BinaryIO, TextIO

from spaces.interruptions import Switched

_OUT, _ERR = 1, 2


class _Stream(io.TextIOWrapper):
    """``sys.stdout`` or ``sys.stderr`` for the life of the process, line by line.

    It loses lines where the disk is full, for a training is worth more than its log.
    """

    def __init__(self, descriptor: int) -> None:
        file = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 (never closed)
        super().__init__(file, "utf-8", "backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()

    def close(self) -> None:
        self.flush()  # the next trial prints, too


class Printing:
    """The standard streams of this process, pointed at one log after the other.

    The file descriptors themselves are pointed there, so that what child processes and code in C
    print is in the log, too, and whatever keeps a stream keeps one that works. Between two logs
    they are what they were before.
    """

    def __init__(self) -> None:
        self._outside = os.dup(_OUT), os.dup(_ERR)
        self._held = sys.stdout, sys.stderr
        self._streams = _Stream(_OUT), _Stream(_ERR)
        self._log: BinaryIO | None = None
        self._taken: int | None = None  # of a temporary file, so many bytes; None for a log

    def open(self, log_file: str) -> None:
        """Print to a log from now on.

        Args:
            log_file: is appended to; where it can't be written from here, ``take`` has the text.
        """
        self.close()
        self._log, self._taken = _open(log_file)
        self._point(self._log.fileno(), self._log.fileno())
        sys.stdout, sys.stderr = self._streams

    def take(self) -> str:
        """What was printed since the last call, where it is not in the log."""
        self._flush()
        if self._log is None or self._taken is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), max(0, size - self._taken), self._taken)
        self._taken += len(text)
        return text.decode("utf-8", "backslashreplace")

    def capturing(self) -> contextlib.nullcontext[None]:
        """While the code runs: the streams of the whole process are the log's."""
        return contextlib.nullcontext()

    @property
    def traces_to(self) -> int:
        """The descriptor for the last words of a process: a temporary file would go with it."""
        return _ERR if self._taken is None else self._outside[1]

    def close(self) -> None:
        """Print to where the process printed at first."""
        self._flush()
        if self._log is not None:
            self._point(*self._outside)
            self._log.close()
        self._log = None
        sys.stdout, sys.stderr = self._held

    def _point(self, out: int, err: int) -> None:
        os.dup2(out, _OUT)
        os.dup2(err, _ERR)

    def _flush(self) -> None:
        """Bring what is held back to the log that it was meant for."""
        for stream in {sys.stdout, sys.stderr, *self._streams}:
            with contextlib.suppress(Exception):  # one of the code's own may be closed
                stream.flush()
        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # C keeps what it prints to a file back


class _Tee(io.TextIOBase):
    """A standard stream that is written to a log, too, while one is open.

    Code may keep it: it goes on to work between two logs, and after the last.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.shown: TextIO = getattr(sys, name)
        self.log: TextIO | None = None
        self.of_code: TextIO | None = None  # what the code has put there, such as redirect_stdout

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.shown, "encoding", "utf-8")

    def write(self, text: str) -> int:
        log = self.log  # a thread of the code may print while its trial's log is closed
        if log is not None:  # and where the disk is full, a training is worth more
            with contextlib.suppress(OSError, ValueError):
                log.write(text)
        return self.shown.write(text)

    def flush(self) -> None:
        self.shown.flush()

    def isatty(self) -> bool:
        return self.shown.isatty()

    def fileno(self) -> int:
        return self.shown.fileno()

    def close(self) -> None:
        """Stay open, for the next trial prints, too."""

    def put(self) -> None:
        """Stand in for the stream of the process, or put back the one that the code had put."""
        held = getattr(sys, self._name)
        if held is not self:  # as when a second interruption came before it was taken away
            self.shown = held
        setattr(sys, self._name, self if self.of_code is None else self.of_code)

    def take_away(self) -> None:
        """Give the stream of the process back."""
        held = getattr(sys, self._name)
        self.of_code = None if held is self else held
        setattr(sys, self._name, self.shown)


class Echo:
    """What the code prints in this process: shown as ever, and written to the trial's log."""

    def __init__(self) -> None:
        self._log: TextIO | None = None
        self._streams = _Tee("stdout"), _Tee("stderr")

    @property
    def traces_to(self) -> int:
        """The descriptor of standard error."""
        return _ERR

    def open(self, log_file: str) -> None:
        """Write to a log from now on, which is appended to; to none where it can't be written."""
        self.close()
        with contextlib.suppress(OSError):
            self._log = open(  # noqa: SIM115 (closed below)
                log_file, "a", encoding="utf-8", errors="backslashreplace", buffering=1
            )

    def capturing(self) -> AbstractContextManager[None]:
        """While the code runs: its prints go to both places."""
        return Switched(self._begin, lambda _: self._end())

    def _begin(self) -> None:
        for stream in self._streams:
            stream.log = self._log
            stream.put()

    def _end(self) -> None:
        for stream in self._streams:
            stream.log = None
            stream.take_away()

    def take(self) -> str:
        """Nothing: it is in the log."""
        return ""

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.close()
        self._log = None
        for stream in self._streams:
            stream.of_code = None


def _open(log_file: str) -> tuple[BinaryIO, int | None]:
    try:
        return open(log_file, "ab", buffering=0), None
    except OSError:
        pass
    try:
        return tempfile.TemporaryFile(buffering=0), 0
    except OSError:
        return open(os.devnull, "wb", buffering=0), None
