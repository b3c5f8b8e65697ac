"""Reading the user's data files: columns of a CSV or Parquet file, arrays of an ``.npz`` file."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.problems import InputError, Problem, shown, unknown_name

Array = npt.NDArray[Any]
CSV_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
TABLE_ENDINGS = (*CSV_ENDINGS, ".parquet")
_DELIMITERS = ",;\t"


@contextmanager
def problems_at(path: str) -> Iterator[None]:
    """Mistakes in a file are told at the setting that names it, such as ``dataset.file``."""
    try:
        yield
    except InputError as error:
        source = "" if error.source is None else f"{error.source}: "
        problems = [Problem(path, f"{source}{problem}") for problem in error.problems]
        raise InputError(problems) from None


def is_table(file: str) -> bool:
    """Whether a file's name is that of a table."""
    return file.lower().endswith(TABLE_ENDINGS)


def column_names(file: str) -> list[str]:
    """The names of a table's columns.

    Raises:
        InputError: when it is no table, or two columns have the same name.
    """
    import pyarrow.csv
    import pyarrow.parquet

    with _reading(file, TABLE_ENDINGS):
        names: list[str]
        if _is_csv(file):
            names = pyarrow.csv.open_csv(file, parse_options=_layout(file)).schema.names
        else:
            names = pyarrow.parquet.read_schema(file).names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two columns have the name {shown(twice[0])}", file)
    return names


def missing_columns(missing: Sequence[str], there: Sequence[str]) -> str:
    """The message for columns that a table lacks, with the nearest names that it has."""
    what = "the columns {} are" if len(missing) > 1 else "the column {} is"
    close = [near for name in missing for near in get_close_matches(name, there, n=1)]
    hint = f"; did you mean {', '.join(map(shown, dict.fromkeys(close)))}?" if close else ""
    return f"{what.format(', '.join(map(shown, missing)))} missing{hint}"


def read_table(file: str, columns: Sequence[str], types: Mapping[str, Any] | None = None) -> Any:
    """Read some columns of a table, as a ``pyarrow.Table``.

    Args:
        file: its name ends in one of ``TABLE_ENDINGS``.
        columns: their names.
        types: of columns of a CSV file, as Arrow names them; of others their content tells.

    Raises:
        InputError: when the file can't be read, has no rows, or lacks a column.
    """
    import pyarrow.csv
    import pyarrow.parquet

    there = column_names(file)
    if missing := [name for name in columns if name not in there]:
        raise InputError(missing_columns(missing, there), file)
    with _reading(file, TABLE_ENDINGS, there):
        if _is_csv(file):
            with pyarrow.input_stream(file, compression="detect") as stream:
                content = stream.read_buffer()
            block = min(len(content) + 1, 2**31 - 1)  # one, so that all rows tell the types
            table = pyarrow.csv.read_csv(
                pyarrow.BufferReader(content),
                pyarrow.csv.ReadOptions(block_size=block),
                _layout(file),
                pyarrow.csv.ConvertOptions(
                    include_columns=list(columns), column_types=types, strings_can_be_null=True
                ),
            )
        else:
            table = pyarrow.parquet.read_table(file, columns=list(columns))
    if table.num_rows == 0:
        raise InputError("has no rows", file)
    for name in columns:
        if pyarrow.types.is_binary(table[name].type) and _is_csv(file):
            raise InputError(f"column {shown(name)} is no UTF-8; save the file as UTF-8", file)
    return table.select(list(columns))


def read_arrays(file: str, names: Sequence[str]) -> dict[str, Array]:
    """Read some arrays of an ``.npz`` file; nothing in it is unpickled.

    Raises:
        InputError: when the file can't be read, or lacks an array.
    """
    with _reading(file, (".npz",)), np.load(_checked_archive(file), allow_pickle=False) as held:
        if missing := [name for name in names if name not in held]:
            raise InputError(unknown_name("array", missing[0], held.files), file)
        arrays = {name: held[name] for name in names}
        if strange := [name for name in names if not isinstance(arrays[name], np.ndarray)]:
            raise InputError(f"{shown(strange[0])} in it is no array, as np.savez writes it", file)
        return arrays


def _checked_archive(file: str) -> str:
    if not zipfile.is_zipfile(file):
        raise InputError("is no .npz file, as np.savez writes it", file)
    return file


def _is_csv(file: str) -> bool:
    return file.lower().endswith(CSV_ENDINGS)


def _layout(file: str) -> Any:
    import pyarrow.csv

    return pyarrow.csv.ParseOptions(delimiter=_delimiter(file), newlines_in_values=True)


def _delimiter(file: str) -> str:
    """What separates the columns: whichever sign the first line has most of."""
    import pyarrow

    with pyarrow.input_stream(file, compression="detect") as stream:
        line = stream.read(100_000).partition(b"\n")[0]
    return max(_DELIMITERS, key=lambda sign: line.count(sign.encode()))


@contextmanager
def _reading(file: str, endings: Sequence[str], columns: Sequence[str] = ()) -> Iterator[None]:
    """What goes wrong while a file is read is one message, with the column if that is known."""
    if not file.lower().endswith(tuple(endings)):
        other = "arrays" if file.lower().endswith(".npz") else "table" if is_table(file) else ""
        hint = f"; such a file goes with name: {other}" if other else ""
        raise InputError(f"the name must end in {', '.join(endings)}{hint}", file)
    if not os.path.isfile(file):
        found = "is a folder" if os.path.isdir(file) else "there is no such file"
        raise InputError(found, file)
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError) as error:
        raise InputError(f"can't be read: {_worded(error, columns)}", file) from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"can't be read: {error}", file) from None


def _worded(error: Exception, columns: Sequence[str]) -> str:
    text = " ".join(str(error).split())
    if "allow_pickle" in text:
        return "it holds Python objects; save texts as such: y.astype(str)"
    if columns and (place := re.match(r"In CSV column #(\d+): ", text)):
        return f"column {shown(columns[int(place[1])])}: {text[place.end() :]}"
    return text or type(error).__name__
