"""What reaches the terminal: every text as it is, and no search ends because nobody reads it."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from spaces.problems import printable

_STDOUT, _STDERR = 1, 2
_READER_GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET}  # a pipe, a terminal, a socket


class Screen(Console):
    """A console on which no text is markup, and no control character of a text is obeyed.

    Styles are given as arguments, or in a ``rich.text.Text``.

    Args:
        stderr: write to standard error, not to standard output.
        options: those of ``rich.console.Console``.
    """

    def __init__(self, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as it is measured and shown."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The pieces of which something is made up; of all that is shown, whatever it is."""
        for piece in super().render(renderable, options):
            plain = piece.control or piece.text.isprintable()
            yield piece if plain else piece._replace(text=printable(piece.text))


def width_of(table: Table, out: Console) -> int:
    """How wide a table is where nothing bounds it."""
    return Measurement.get(out, out.options.update(max_width=1000), table).maximum


ERR = Screen(stderr=True, soft_wrap=True)  # for errors, and what is being done


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say on standard error what is being done, as long as it takes."""
    if ERR.is_jupyter:  # where a spinner needs a package of widgets, and a line would stay
        yield
        return
    if not ERR.is_terminal:
        ERR.print(f"{what} …" if not ERR.options.ascii_only else f"{what} ...")
        yield
        return
    with ERR.status(Text(printable(what), style="dim"), spinner="line"):
        yield


def prints_aside(as_json: bool) -> AbstractContextManager[object]:
    """Let nothing but one JSON document reach standard output: code that runs here prints, too."""
    return redirect_stdout(sys.stderr) if as_json else nullcontext()


def outlive_readers() -> None:
    """Go on without a word when nobody reads this process's output any more.

    ``| head`` ends, a terminal is closed: from then on what is written there goes nowhere. A
    standard stream that was closed from the start is one of these.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = _outliving(sys.stdout, _STDOUT)
    sys.stderr = _outliving(sys.stderr, _STDERR)


class _Outliving(io.FileIO):
    """A standard stream of the process whose end is no error of who writes to it."""

    def write(self, data: Any) -> int:
        """Write to the stream; to nowhere where it can't be written any more."""
        try:
            written = super().write(data)
        except OSError as error:
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, self.fileno())  # for what libraries write there, too
            os.close(void)
            if self.fileno() == _STDOUT and error.errno not in _READER_GONE:
                raise  # a full disk: an answer is lost
            return len(data)
        if written is None and self.fileno() == _STDERR:  # it may not be waited for
            return len(data)
        return written


def _outliving(stream: Any, number: int) -> Any:
    """A text stream like the one given; that one itself where it is another file."""
    encoding, errors = "utf-8", "backslashreplace"
    if stream is not None:
        try:
            if stream.fileno() != number:
                return stream
            stream.flush()
        except (AttributeError, OSError, ValueError):  # no file of the system's
            return stream
        encoding, errors = stream.encoding, stream.errors
    buffered = io.BufferedWriter(_Outliving(number, "w", closefd=False))
    is_by_line = number == _STDERR or os.isatty(number)
    return io.TextIOWrapper(buffered, encoding, errors, line_buffering=is_by_line)
