"""What a report is made of: sections, and the parts that stand in them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from analysis.insight.axes import Axis, axes_of
from analysis.insight.effects import Effects, marginal_effects
from analysis.insight.evidence import Finding
from analysis.insight.failures import Failures, explain_failures
from analysis.insight.findings import findings
from analysis.insight.importance import RungImportance, rung_importance
from analysis.insight.observations import compared_epochs, shared_epoch
from analysis.record.folder import RunFolder
from analysis.record.trials import Trial, Trials
from analysis.verdict.audit import AuditResult
from analysis.verdict.confirmation import Confirmation
from spaces.experiment import Experiment
from spaces.metric import Metric
from spaces.parameters import Scalar
from spaces.problems import printable

Item = TypeVar("Item")
Cell: TypeAlias = Scalar


@dataclass(frozen=True)
class Text:
    """A paragraph. ``lead``: the answer, in large letters; ``note``: an explanation, in small."""

    text: str
    kind: Literal["lead", "plain", "note"] = "plain"


@dataclass(frozen=True)
class Table:
    """A table that is short enough to be read as it stands."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Text that keeps its lines: a file, a command."""

    text: str
    language: str = "yaml"


@dataclass(frozen=True)
class Figure:
    """A figure as plotly's JavaScript takes it.

    Colours that begin with ``--`` are properties of the page's style sheet, which has one of each
    for light and dark. Every text in ``data`` and ``layout`` that comes from a user went through
    ``label``.

    Args:
        data: the traces.
        layout: titles and axes; the page adds fonts, colours and margins.
        caption: what is drawn, and what is left out.
        switches: the axes, ``x`` or ``y``, that can be changed between linear and logarithmic.
        is_wide: whether a narrow window scrolls it instead of making it narrower.
    """

    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    caption: str = ""
    switches: Sequence[Literal["x", "y"]] = ()
    is_wide: bool = False


@dataclass(frozen=True)
class Grid:
    """Small figures side by side, as many as the window is wide."""

    figures: Sequence[Figure]
    caption: str = ""


@dataclass(frozen=True)
class ByEpoch:
    """Small figures at several epochs, of which a reader chooses one; the first is shown at first.

    ``grids``: by epoch, in the order in which they are offered.
    """

    grids: Mapping[int, Grid]

    @property
    def first(self) -> Grid:
        return next(iter(self.grids.values()))


@dataclass(frozen=True)
class TrialTable:
    """The table of all trials, which a reader sorts and filters.

    ``sorted``: the column by which it begins to be sorted, whose numbers are told apart.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sorted: int = 0
    descending: bool = False


Part: TypeAlias = Text | Table | Code | Figure | Grid | ByEpoch | TrialTable


@dataclass(frozen=True)
class Section:
    """One question, and what the run says to it.

    Args:
        title: as a reader sees it.
        anchor: names it in links, and in the JSON document.
        parts: in the order in which they are read.
        data: what the JSON document holds of it, plain data; None: nothing.
    """

    title: str
    anchor: str
    parts: Sequence[Part]
    data: Any = None


@dataclass(frozen=True)
class Material:
    """What every section is made from.

    ``is_live``: whether a process is searching now; the report is then of what is there so far.
    ``rerun_epochs``: what confirming and auditing trained. ``audit``: what the latter found.
    ``is_first``: what mattered is not worked out yet, for that takes long; a whole report follows.
    """

    run: RunFolder
    experiment: Experiment
    trials: Trials
    is_live: bool = False
    confirmation: Confirmation | None = None
    rerun_epochs: int = 0
    audit: AuditResult | None = None
    is_first: bool = False

    @property
    def metric(self) -> Metric:
        return self.experiment.metric

    @functools.cached_property
    def axes(self) -> list[Axis]:
        """The parameters that trials have."""
        return axes_of(self.experiment, list(self.trials))

    @functools.cached_property
    def importance(self) -> list[RungImportance]:
        """At each rung."""
        with np.errstate(all="ignore"):  # a metric may come near the largest float
            return rung_importance(self.experiment, self.trials)

    @functools.cached_property
    def effects(self) -> list[Effects]:
        """At each compared epoch, with the pairs that matter there; first where all can be."""
        by_epoch = {entry.epoch: entry for entry in self.importance}
        shared = shared_epoch(self.experiment, self.trials)
        others = [epoch for epoch in compared_epochs(self.experiment) if epoch != shared]
        with np.errstate(all="ignore"):
            found = [
                marginal_effects(self.experiment, self.trials, epoch, by_epoch.get(epoch))
                for epoch in (shared, *others)
            ]
        return [found[0], *(effects for effects in found[1:] if effects.trials)]

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """What an interval supports."""
        with np.errstate(all="ignore"):
            return findings(self.experiment, self.trials, importance=self._at_shared_epoch)

    @functools.cached_property
    def failures(self) -> Failures:
        """Where in the space trials diverged or failed."""
        with np.errstate(all="ignore"):
            return explain_failures(self.experiment, self.trials)

    @property
    def _at_shared_epoch(self) -> RungImportance | None:
        epoch = shared_epoch(self.experiment, self.trials)
        return next((entry for entry in self.importance if entry.epoch == epoch), None)

    @property
    def best(self) -> Trial | None:
        """The best trial that has a value."""
        return self.trials.best(self.metric)

    @property
    def baseline(self) -> Trial | None:
        """Trial 0 where the experiment has a baseline, else None."""
        return self.trials.by_number.get(0) if self.experiment.baseline is not None else None


def sampled(items: Sequence[Item], most: int) -> list[Item]:
    """``most`` of the items, evenly spread over their order; all where there are no more."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def label(value: object, longest: int = 60) -> str:
    """A user's text as a figure may hold it: short, without what plotly reads as markup."""
    text = printable(str(value)).replace("\n", " ")
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
