"""The report of a run: which sections it has, and the files it is written to."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.record.folder import RunFolder
from analysis.record.trials import Trials
from analysis.report.page import page_of
from analysis.report.plain import json_of, markdown_of
from analysis.report.section import Material, Section
from analysis.report.sections.answer import answer_section
from analysis.report.sections.counts import rungs_section, states_section
from analysis.report.sections.failures import failures_section
from analysis.report.sections.history import curves_section, history_section
from analysis.report.sections.importance import mattered_section
from analysis.report.sections.marginal import effects_section, pairs_section
from analysis.report.sections.parallel import parallel_section
from analysis.report.sections.parameters import parameters_section
from analysis.report.sections.rest import (
    cost_section,
    experiment_section,
    trials_section,
    versions_section,
)
from analysis.report.sections.stopping import stopping_section
from analysis.verdict.audit import AuditResult
from analysis.verdict.confirmation import Confirmation
from analysis.views.table import csv_of, trial_table
from spaces.experiment import Experiment
from spaces.problems import InputError

MANY_PARAMETERS = 12

# Each makes a section from the run, or None where it has nothing to say.
SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    answer_section,
    history_section,
    curves_section,
    states_section,
    rungs_section,
    stopping_section,
    mattered_section,
    effects_section,
    pairs_section,
    parameters_section,
    parallel_section,
    trials_section,
    failures_section,
    cost_section,
    experiment_section,
    versions_section,
)


@dataclass(frozen=True)
class Report:
    """A report, before it is written."""

    material: Material

    @property
    def takes_long(self) -> bool:
        """Whether working out what mattered takes more than a moment."""
        names = {name for trial in self.material.trials for name in trial.params}
        return len(names) > MANY_PARAMETERS

    def first(self) -> Report:
        """The same without what takes long."""
        return Report(dataclasses.replace(self.material, is_first=True))

    @property
    def title(self) -> str:
        return f"{self.material.experiment.name}: {self.material.run.name}"

    @functools.cached_property
    def sections(self) -> list[Section]:
        """In their order; made once they are asked for, which takes most of the time."""
        found = (make(self.material) for make in SECTIONS)
        return [section for section in found if section is not None]


def build_report(
    run: RunFolder,
    experiment: Experiment,
    trials: Trials,
    is_live: bool = False,
    confirmation: Confirmation | None = None,
    rerun_epochs: int = 0,
    audit: AuditResult | None = None,
) -> Report:
    """Make the report of a run.

    Args:
        run: its folder.
        experiment: its experiment.
        trials: its trials.
        is_live: whether a process is searching now; the report is of what is there so far.
        confirmation: what fresh seeds say, if they were asked.
        rerun_epochs: what confirming and auditing trained.
        audit: what an audit found, if there was one.

    Raises:
        InputError: when no trial has ended yet.
    """
    if not trials.finished:
        raise InputError(f"{run.path}: no trial has ended yet, so there is nothing to report")
    return Report(Material(run, experiment, trials, is_live, confirmation, rerun_epochs, audit))


WRITERS: dict[str, Callable[[Report], bytes]] = {
    "html": lambda report: page_of(report.title, report.sections),
    "md": lambda report: markdown_of(report.title, report.sections),
    "csv": lambda report: csv_of(trial_table(report.material.trials, report.material.metric)),
    "json": lambda report: json_of(report.title, report.sections),
}


def write_report(report: Report, path: Path, kind: str = "html") -> None:
    """Write a report; a reader finds the old file or the whole new one.

    Args:
        report: what to write.
        path: the file.
        kind: html, md, csv (all trials, one a row) or json.

    Raises:
        OSError: when it can't be written.
    """
    content = WRITERS[kind](report)
    if path.exists() and not path.is_file():  # a device, or a pipe
        path.write_bytes(content)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        with draft.open("xb") as file:  # a new one: no link is followed
            file.write(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
