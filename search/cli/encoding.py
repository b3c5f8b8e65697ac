"""What is printed can be printed anywhere: signs that a terminal does not have are spelled out."""

from __future__ import annotations

import codecs
import io
import sys

_PLAIN = {"…": "...", "→": "->", "±": "+/-", "–": "-", "−": "-", "×": "x", "█": "#"}
_HANDLER = "shoal_plain"


def accept_every_sign() -> None:
    """Let the standard streams of this process take any text, whatever their encoding.

    A terminal that has ASCII only gets ``...`` for an ellipsis, and ``\\xe9`` for what has no plain
    spelling.
    """
    codecs.register_error(_HANDLER, _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    plain = (_PLAIN.get(s) or s.encode("ascii", "backslashreplace").decode() for s in signs)
    return "".join(plain), error.end
