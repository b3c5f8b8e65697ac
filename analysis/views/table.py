"""``shoal table``: all trials of a run, one a row, for pandas, polars or a spreadsheet."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.record.trials import Reported, Trial, Trials
from spaces.metric import Metric
from spaces.problems import InputError, printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?")


def trial_table(trials: Trials, metric: Metric, by_epoch: bool = False) -> pa.Table:
    """A row a trial, or a row a report.

    Columns: trial, state, epoch, value (the metric's, as it counts for the trial; null for diverged
    and failed ones), seed, attempts, started and ended (UTC), reason; ``params.<name>`` for each
    parameter, null where it does not apply, and for each setting that a space that is a function
    returned, lists as JSON texts; ``metrics.<name>`` at that epoch, null where a metric is not
    finite. Where what the run depends on has changed, ``changes``: how many changes there had been
    when the trial, or the epoch, was trained.

    Args:
        trials: of a run.
        metric: the search's.
        by_epoch: a row for every report, whose value is the metric's at that epoch.
    """
    rows = [
        _row(trial, report, metric, by_epoch)
        for trial in trials
        for report in (trial.reports if by_epoch else [_last(trial)])
    ]
    found = dict.fromkeys(name for row in rows for name in row)
    if not trials.changes:
        found.pop("changes", None)
    names = sorted(
        found, key=lambda name: (name.startswith("metrics."), name.startswith("params."))
    )
    return pa.table({name: _column([row.get(name) for row in rows], name) for name in names})


def _last(trial: Trial) -> Reported | None:
    return trial.reports[-1] if trial.reports else None


def _row(trial: Trial, report: Reported | None, metric: Metric, by_epoch: bool) -> dict[str, Any]:
    metrics = {} if report is None else report.metrics
    value = metrics.get(metric.name) if by_epoch else trial.value(metric)
    return {
        "trial": trial.number,
        "state": trial.state,
        "epoch": 0 if report is None else report.epoch,
        "value": value,
        "seed": trial.seed,
        "attempts": trial.attempts,
        "started": trial.started,
        "ended": trial.ended,
        "reason": trial.reason,
        "changes": trial.changes_before(0 if report is None else report.epoch),
        **{f"params.{name}": held for name, held in trial.configuration.items()},
        **{f"metrics.{name}": held for name, held in metrics.items()},
    }


def _column(values: Sequence[Any], name: str) -> pa.Array:
    """An Arrow column; values of different kinds, as choices may be, become texts."""
    if name in ("started", "ended"):
        micros = [None if value is None else round(value * 1e6) for value in values]
        return pa.array(micros, pa.timestamp("us", tz="UTC"))
    if name == "reason":
        return pa.array(values, pa.string())
    finite = [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]
    if name == "value" or name.startswith("metrics."):
        return pa.array(finite, pa.float64())
    try:
        return pa.array(finite)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # of different kinds, or huge
        return pa.array([None if value is None else str(value) for value in finite], pa.string())


def csv_of(table: pa.Table) -> bytes:
    """A table as CSV; no text in it is a formula to a spreadsheet, or controls a terminal."""
    columns = [
        pa.array([_cell(value) for value in column.to_pylist()], pa.string())
        if pa.types.is_string(column.type)
        else column
        for column in table.columns
    ]
    names = [_cell(name) for name in table.column_names]
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(columns, names=names), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _cell(text: str | None) -> str | None:
    """A text that a spreadsheet takes for a text: what begins as a formula does is quoted."""
    if text is None:
        return None
    is_formula = text[:1] in _FORMULA and not _NUMBER.fullmatch(text)
    return ("'" if is_formula else "") + printable(text.replace("\r\n", "\n"))


def _write_csv(table: pa.Table, path: Path) -> None:
    path.write_bytes(csv_of(table))


def _write_json(table: pa.Table, path: Path) -> None:
    path.write_text(json.dumps(table.to_pylist(), default=str, indent=1) + "\n", encoding="utf-8")


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": pyarrow.parquet.write_table,
    ".csv": _write_csv,
    ".json": _write_json,
}


def check_table_name(path: Path) -> None:
    """See that a file's ending says how to write it.

    Raises:
        InputError: when it does not.
    """
    if path.suffix not in WRITERS:
        raise InputError(f"the name must end in {', '.join(WRITERS)}, got {str(path)!r}", "-o")


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as its file's ending says.

    Raises:
        InputError: when it can't be written.
    """
    check_table_name(path)
    try:
        WRITERS[path.suffix](table, path)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}", "-o") from None
