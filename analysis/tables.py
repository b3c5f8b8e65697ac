"""Tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from spaces.problems import printable


def show_value(value: object) -> str:
    """A number to four digits, anything else as a terminal can print it."""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


_MARKDOWN = re.compile(r"([\\`*\[\]<>|~#&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def markdown_text(text: str) -> str:
    """A text as Markdown can hold it anywhere: in one line, and none of it markup."""
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(text.split())))


def told_apart(values: Sequence[Any]) -> list[str]:
    """The values as they are shown, or in full where that would make two of them the same."""
    texts = [show_value(value) for value in values]
    return texts if len(set(texts)) == len(texts) else [repr(value) for value in values]


def show_params(params: Mapping[str, object]) -> str:
    """``lr=0.001 activation=relu``."""
    return " ".join(f"{printable(name)}={show_value(value)}" for name, value in params.items())


def best_table(best: Sequence[dict[str, Any]], confirmed: Mapping[int, str] | None = None) -> Table:
    """The best configurations, one a row.

    Args:
        best: rows as ``analysis.run.best_of`` gives them.
        confirmed: what a confirmation found of each trial, in words; None where there was none.
    """
    metric = best[0]["metric"] if best else "value"
    rows = [
        (
            row["trial"],
            f"{row['value']:.4f}",
            row["epoch"],
            row["state"],
            show_params(row["params"]),
        )
        for row in best
    ]
    table = ("trial", metric, "epoch", "state", "parameters")
    if confirmed is None:
        return rows_table(table, rows)
    under = [(*row[:2], confirmed.get(row[0], ""), *row[2:]) for row in rows]
    return rows_table((*table[:2], "under fresh seeds", *table[2:]), under)


def rows_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; where the terminal is narrow its widest columns wrap, and nothing is cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(show_value(cell)) for cell in row))  # no text is markup
    return table


def space_table(space: Sequence[Mapping[str, Any]]) -> Table:
    """The parameters of a space, one a row; without the columns in which none has anything.

    Args:
        space: rows with name, range, baseline and when (None where there is none).
    """
    columns = ["name", "range"]
    optional = ("baseline", "when")
    columns += [c for c in optional if any(row[c] is not None for row in space)]
    shown = {"name": "parameter"}
    rows = [[_cell(row[column]) for column in columns] for row in space]
    return rows_table([shown.get(column, column) for column in columns], rows)


def _cell(value: Any) -> str:
    """A condition as ``optimizer: sgd or adam``; nothing as nothing."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {' or '.join(map(str, v))}" for name, v in value.items())
    return "" if value is None else show_value(value)
