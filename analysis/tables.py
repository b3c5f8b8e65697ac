"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table


def show_value(value: object) -> str:
    """A number to four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show_params(params: Mapping[str, object]) -> str:
    """``lr=0.001 activation=relu``."""
    return " ".join(f"{name}={show_value(value)}" for name, value in params.items())


def best_table(best: Sequence[dict[str, Any]]) -> Table:
    """The best configurations, one a row.

    Args:
        best: rows as ``analysis.run.best_of`` gives them.
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
    return rows_table(("trial", metric, "epoch", "state", "parameters"), rows)


def rows_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table; its last column wraps where the terminal is narrow."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(show_value, row))
    return table
