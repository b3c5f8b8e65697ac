"""A process beside this one that ends it when it can't end itself: stopped, or stuck in a call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress

GRACE_SECONDS = 5.0  # in which a process that can end itself does, and leaves a traceback

# It reads [seconds, log file] or [null, ""] from its input, a line each. A process that was
# orphaned ends, too: others may hold its input open.
_PROGRAM = """
import json, os, select, signal, sys, time
watched, end, log = int(sys.argv[1]), None, ""
while os.getppid() == watched:
    seconds = 60.0 if end is None else min(60.0, max(0.0, end - time.monotonic()))
    if select.select([0], [], [], seconds)[0]:
        lines = os.read(0, 65536).decode().splitlines()
        if not lines:
            break
        seconds, log = json.loads(lines[-1])
        end = None if seconds is None else time.monotonic() + seconds
    elif end is not None and time.monotonic() >= end:
        try:
            with open(log, "a") as file:
                file.write("the process did not end by itself at epoch_timeout_seconds: killed\\n")
        except OSError:
            pass
        if os.getppid() == watched:
            os.kill(watched, signal.SIGKILL)
        break
"""


class Watchdog:
    """Kills this process by SIGKILL unless told in time that an epoch is over.

    It takes a Python without packages, about 10 MB, and ends with this process.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (a program of ours)
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what stops or interrupts this process's group misses it
        )

    def begin(self, seconds: float, log_file: str) -> None:
        """An epoch begins, which may take so long; where its end is noted in the log."""
        self._tell([seconds + GRACE_SECONDS, log_file])

    def end(self) -> None:
        """The epoch is over."""
        self._tell([None, ""])

    def _tell(self, message: list[object]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it was killed: faulthandler still watches
            self._process.stdin.write(f"{json.dumps(message)}\n".encode())
            self._process.stdin.flush()
