"""Tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.display.numbers import SHORT, digits_apart, number, numbers
from spaces.metric import Metric
from spaces.problems import printable


def show_value(value: object, digits: int = SHORT) -> str:
    """A number to so many significant digits, anything else as a terminal can print it."""
    return number(value, digits) if isinstance(value, float) else printable(str(value))


_MARKDOWN = re.compile(r"([\\`*\[\]<>|~#&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def markdown_text(text: str) -> str:
    """A text as Markdown can hold it anywhere: in one line, and none of it markup."""
    return _MARKDOWN.sub(r"\\\1", printable(" ".join(text.split())))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(markdown_text, line))} |" for line in lines)


def distinct_texts(values: Sequence[Any]) -> list[str]:
    """Different values as different texts: in full where the shortest would be the same."""
    digits = _digits(values)
    texts = [show_value(value, digits) for value in values]
    return texts if len(set(texts)) == len(texts) else [repr(value) for value in values]


def show_column(values: Sequence[object]) -> list[str]:
    """The cells of a column, its numbers with the digits that tell them apart; None is empty."""
    digits = _digits(values)
    return ["" if value is None else show_value(value, digits) for value in values]


def show_rows(rows: Sequence[Sequence[object]]) -> list[tuple[str, ...]]:
    """The cells of a table, column by column as ``show_column`` has them."""
    columns = [show_column(column) for column in zip(*rows, strict=True)]
    return list(zip(*columns, strict=True)) if columns else [() for _ in rows]


def _digits(values: Sequence[object]) -> int:
    return digits_apart((value for value in values if isinstance(value, float)), SHORT)


def show_params(params: Mapping[str, object]) -> str:
    """``lr=0.001 activation=relu``."""
    return " ".join(f"{printable(name)}={show_value(value)}" for name, value in params.items())


def _params_apart(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Each as ``show_params``, with the digits that tell the values of a parameter apart."""
    names = dict.fromkeys(name for row in rows for name in row)
    digits = {name: _digits([row.get(name) for row in rows]) for name in names}
    return [
        " ".join(f"{printable(k)}={show_value(v, digits[k])}" for k, v in row.items())
        for row in rows
    ]


def best_table(
    best: Sequence[dict[str, Any]], metric: Metric, confirmed: Mapping[int, str] | None = None
) -> Table:
    """The best configurations, one a row; a line below says which values are better.

    Args:
        best: rows as ``analysis.record.folder.best_of`` gives them.
        metric: by which they are the best.
        confirmed: what a confirmation found of each trial, in words; None where there was none.
    """
    values = numbers([row["value"] for row in best])
    params = _params_apart([{**row["params"], **row.get("settings", {})} for row in best])
    columns: dict[str, Sequence[object]] = {
        "trial": [row["trial"] for row in best],
        metric.name: values,
        "under fresh seeds": [(confirmed or {}).get(row["trial"], "") for row in best],
        "epoch": [row["epoch"] for row in best],
        "state": [row["state"] for row in best],
        "parameters": params,
    }
    if confirmed is None:
        del columns["under fresh seeds"]
    table = rows_table(list(columns), list(zip(*columns.values(), strict=True)))
    table.caption = Text(f"{printable(metric.name)}: {metric.better_values}")
    table.caption_justify = "left"
    return table


def rows_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; where the terminal is narrow its widest columns wrap, and nothing is cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in show_rows(rows):
        table.add_row(*map(Text, row))  # no text is markup
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
    """A condition as ``optimizer: sgd or adam``, ``layers: 2 to 6``; nothing as nothing."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_any_of(values)}" for name, values in value.items())
    return "" if value is None else show_value(value)


def _any_of(values: Sequence[Any]) -> str:
    are_whole = all(type(value) is int for value in values)
    if are_whole and len(values) > 2 and list(values) == [*range(values[0], values[-1] + 1)]:
        return f"{values[0]} to {values[-1]}"
    return " or ".join(map(str, values))
