"""The report of a run as it stands, with what came after its search."""

from __future__ import annotations

from pathlib import Path

from analysis.record.lock import is_locked
from analysis.report.build import Report, build_report
from analysis.verdict.confirmation import open_confirmed
from search.rerun.audit_findings import audit_result


def report_of(path: Path) -> Report:
    """What a run's report shows.

    Args:
        path: the run's folder.

    Raises:
        InputError: when it holds no run, or its files are damaged.
    """
    folder, experiment, trials, reruns, confirmation = open_confirmed(path)
    return build_report(
        folder,
        experiment,
        trials,
        is_live=is_locked(path),
        confirmation=confirmation,
        rerun_epochs=reruns.trials.epochs,
        audit=audit_result(experiment, trials, reruns),
    )
