"""Images and texts that the user's code logged: files of the run, by trial and epoch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

from spaces.links import unlinked
from spaces.logged import MOST_BYTES, MOST_PER_EPOCH

Kind: TypeAlias = Literal["image", "text"]

_KINDS: dict[str, Kind] = {".png": "image", ".md": "text"}
_ENDINGS = {kind: ending for ending, kind in _KINDS.items()}


class Logged(NamedTuple):
    """``content``: a PNG file, or a text in UTF-8."""

    kind: Kind
    name: str
    content: bytes


def write_logged(run: Path, trial: str, epoch: int, logged: Sequence[Logged]) -> None:
    """Keep what an epoch logged; what stood there before, of the same epoch, goes.

    Args:
        run: the run's folder.
        trial: the folder of the trial, below it.
        epoch: the trial's, from 1.
        logged: what it was; most epochs log nothing.

    Raises:
        OSError: when it can't be written.
    """
    folder = _folder(run, trial, epoch)
    if not logged and not folder.exists():
        return
    shutil.rmtree(unlinked(folder, run), ignore_errors=True)
    for number, held in enumerate(logged):
        folder.mkdir(parents=True, exist_ok=True)
        name = held.name.replace("%", "%25").replace("/", "%2F")
        (folder / f"{number:03d}-{name}{_ENDINGS[held.kind]}").write_bytes(held.content)


def read_logged(run: Path, trial: str, epoch: int) -> list[Logged]:
    """What an epoch logged, in its order.

    Raises:
        InputError: when a link stands on the way: a run may come from a stranger.
    """
    folder = _folder(run, trial, epoch)
    if not folder.is_dir():
        return []
    found = []
    for file in sorted(unlinked(folder, run).iterdir())[:MOST_PER_EPOCH]:
        kind = _KINDS.get(file.suffix)
        if kind is None or not file.is_file() or file.stat().st_size > MOST_BYTES:
            continue
        name = unquote(file.stem.partition("-")[2])
        found.append(Logged(kind, name, unlinked(file, run).read_bytes()))
    return found


def _folder(run: Path, trial: str, epoch: int) -> Path:
    return run / trial / f"{epoch:06d}"
