"""Data files beside kept source: how it reads them, and which it names.

Reading one unpickles nothing. A file's name ends with a part of its SHA-256: other data has another
file, so that an earlier source finds its own.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from spaces.imports import Reference, imported_files, tree_of
from spaces.kept.forms import Form

READER = "_kept_data"
DATA_FOLDER = "given_data"
_LONGEST_NAME = 60  # characters
_DIGITS = 12  # of the SHA-256

READER_SOURCE = f'''
@__import__("functools").cache
def {READER}(name):
    """What a file in {DATA_FOLDER} holds; nothing is unpickled."""
    from pathlib import Path

    file = Path(__file__).parent / "{DATA_FOLDER}" / name
    if file.suffix == ".npy":
        import numpy

        return numpy.load(file, allow_pickle=False)
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)["tensor"]
    if file.suffix == ".parquet":
        import pandas

        return pandas.read_parquet(file)
    import json

    return json.loads(file.read_text(encoding="utf-8"))
'''.strip()


def write_data(folder: Path, place: str, form: Form) -> str:
    """Write a data file.

    Args:
        folder: of the source.
        place: what holds the value in the source, such as ``digits.images``.
        form: how it is kept.

    Returns:
        The name that the source reads it by; the same data has the same.

    Raises:
        NotKeptError: when it can't be kept after all.
        OSError: when the file can't be written.
    """
    (folder / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
    unfinished = folder / DATA_FOLDER / f"unfinished{form.suffix}"
    try:
        form.write(unfinished)
        with unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stem = re.sub(r"[^\w.-]", "_", place, flags=re.ASCII)[:_LONGEST_NAME]
        name = f"{stem}-{digest[:_DIGITS]}{form.suffix}"
        unfinished.replace(folder / DATA_FOLDER / name)
    finally:
        unfinished.unlink(missing_ok=True)
    return name


def source_files(reference: Reference) -> list[Path]:
    """All that own code consists of: the modules, and the data that kept source reads."""
    return sorted({*imported_files(reference), *data_of(reference.file)})


def data_of(source: Path) -> Iterator[Path]:
    """The data files that kept source names; no other files, however it names or links them."""
    folder = os.path.join(os.path.realpath(source.parent), DATA_FOLDER)
    for node in ast.walk(tree_of(source)):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(held))]):
                file = source.parent / DATA_FOLDER / held
                is_there = name == READER and os.path.isfile(file)
                if is_there and os.path.dirname(os.path.realpath(file)) == folder:
                    yield file


def data_in(folder: Path) -> set[Path]:
    """All data files beside kept sources.

    Args:
        folder: of the sources.
    """
    return {file for file in (folder / DATA_FOLDER).glob("*") if file.is_file()}


def remove_unread(folder: Path, spared: Collection[Path] = ()) -> None:
    """Remove the data files that no kept source names.

    Args:
        folder: of the sources.
        spared: files that stay nevertheless.
    """
    read = {file for source in folder.glob("*.py") for file in data_of(source)}
    for file in data_in(folder) - read - {*spared}:
        file.unlink()
