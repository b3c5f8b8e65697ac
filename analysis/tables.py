"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def show_value(value: object) -> str:
    """A number to four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def best_table(best: Sequence[dict[str, Any]]) -> Table:
    """The best configurations, one a row; a ``-`` where a parameter does not apply.

    Args:
        best: rows as ``analysis.run.best_of`` gives them.
    """
    names = list(dict.fromkeys(name for row in best for name in row["params"]))
    table = Table("trial", best[0]["metric"] if best else "value", "epoch", "state", *names)
    for row in best:
        params = (show_value(row["params"].get(name, "-")) for name in names)
        table.add_row(
            str(row["trial"]), f"{row['value']:.4f}", str(row["epoch"]), row["state"], *params
        )
    return table


def rows_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A plain table of anything."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(show_value, row))
    return table
