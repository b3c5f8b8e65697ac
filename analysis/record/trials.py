"""What a journal says: trials, their reports, their states, the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from analysis.record.events import (
    STATES,
    Attempt,
    Changed,
    CheckpointSaved,
    Confirmed,
    Created,
    Ended,
    Event,
    Finished,
    Moved,
    Promoted,
    Report,
    Rerun,
    Resumed,
    Shared,
    Started,
    State,
    Tested,
)
from analysis.record.gpu_load import wants_gpu_memory
from analysis.record.trial import Reported, Trial
from spaces.experiment import Budget, Experiment
from spaces.metric import Metric
from spaces.problems import InputError
from spaces.sections import parse_section

_UNSEEN = 1e6


__all__ = ["Reported", "Trial", "Trials"]


class Trials:
    """The state of a run: a projection of its events.

    Feed it events in their order; every attribute then says how things stood after the last.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.by_number: dict[int, Trial] = {}
        self.running: dict[int, Trial] = {}  # those that wait among them
        self.waiting: dict[int, Trial] = {}
        self._in_training: dict[int, Trial] = {}  # those that run and do not wait
        self.start: Started | None = None
        self.changes: list[Changed] = []  # of what its results depend on
        self._metric_name: str | None = None
        self.shared: Shared | None = None  # how many trials share a GPU, where that was measured
        self.ended: Ended | None = None
        self.epochs = 0
        self.confirmed_after = 0  # so many trials had begun at the last confirmation
        self._finished: list[Trial] = []  # in the order of their ends
        self._settled = 0  # trials that ended, or waited for the first time
        self._counts: dict[State, int] = dict.fromkeys(STATES, 0)
        self._leaders: dict[Metric, tuple[int, Trial | None]] = {}
        self._reported: list[Reported] = []  # of all trials, in the order in which they came
        self._worsts: dict[Metric, tuple[int, float | None]] = {}  # (of so many reports, worst)
        self._session_began = 0.0
        self._seconds_before = 0.0
        self._last_time = 0.0
        for event in events:
            self.apply(event)

    def check(self, event: Event) -> None:
        """See that an event fits what came before; nothing is changed.

        Raises:
            InputError: when it does not.
        """
        match event:  # most are reports and checkpoints
            case Report():
                self.expect(event)
            case CheckpointSaved() | Attempt():
                self._known(event.trial)
            case Promoted():
                if event.trial not in self.waiting:
                    raise InputError(f"trial {event.trial} is promoted, but does not wait")
            case Created():
                if event.trial != len(self.by_number):
                    rule = f"trial {event.trial} is created as number {len(self.by_number)}"
                    raise InputError(rule)
            case Finished():
                self._running(event.trial)
            case Started():
                if self.start is not None:
                    raise InputError("the run begins a second time")
                parse_section(Experiment, event.spec, ("experiment", "spec"))
            case Resumed():
                parse_section(Budget, event.budget, ("budget",))
            case Rerun() | Confirmed() | Tested():
                self._check_named(event)

    def apply(self, event: Event) -> None:
        """Take one event in.

        Raises:
            InputError: when it does not fit what came before; nothing is changed then.
        """
        self.check(event)
        match event:
            case Report():
                self._report(event)
            case Started():
                experiment = parse_section(Experiment, event.spec, ("experiment", "spec"))
                self._metric_name = experiment.metric.name
                self.start = event
                self._session_began = event.time
            case Resumed():
                self.ended = None
                self._seconds_before += max(0.0, self._last_time - self._session_began)
                self._session_began = self._last_time = event.time
            case Created():
                self._create(event)
            case Promoted():
                self._go_on(self.by_number[event.trial])
            case Attempt():
                trial = self.by_number[event.trial]
                trial.attempts += 1
                trial.wants_gpu_memory |= wants_gpu_memory(event.reason)
            case Shared():
                self.shared = event
            case Finished():
                self._finish(event)
            case Ended():
                self.ended = event
            case Confirmed():
                self.confirmed_after = len(self)
            case Changed():
                self.changes.append(event)
        if not isinstance(event, Rerun | Confirmed | Tested | Changed | Moved):
            self._last_time = max(self._last_time, event.time)  # those take no time of the search

    def _known(self, number: int) -> Trial:
        trial = self.by_number.get(number)
        if trial is None:
            raise InputError(f"trial {number} was never created")
        return trial

    def _check_named(self, event: Rerun | Confirmed | Tested) -> None:
        """See that what came after the search is about its trials, as they are."""
        if isinstance(event, Confirmed):
            for number in event.candidates:
                self._known(number)
            if event.winner is not None and event.params != self._known(event.winner).params:
                raise InputError(f"trial {event.winner} had other params")
            return
        trial = self._known(event.trial)
        what = event.what if isinstance(event, Rerun) else None
        if isinstance(what, Created) and what.params != trial.params:
            raise InputError(f"rerun {what.trial} has other params than trial {trial.number}")
        if isinstance(what, Created) and what.settings != trial.settings:
            raise InputError(f"rerun {what.trial} has other settings than trial {trial.number}")

    def _running(self, number: int) -> Trial:
        trial = self._known(number)
        if trial.state != "running":
            raise InputError(f"trial {number} has {trial.state} already")
        return trial

    def _create(self, event: Created) -> None:
        trial = Trial(
            event.trial, event.params, event.seed, started=event.time, settings=event.settings
        )
        trial.seconds_before = self.seconds(event.time)
        self.by_number[event.trial] = self.running[event.trial] = trial
        self._in_training[event.trial] = trial
        self._counts["running"] += 1

    def expect(self, event: Report) -> Trial:
        """The trial whose next report this is.

        Raises:
            InputError: when no trial waits for such a report.
        """
        trial = self._running(event.trial)
        if event.epoch != trial.epoch + 1:
            raise InputError(
                f"trial {event.trial} reports epoch {event.epoch} after epoch {trial.epoch}"
            )
        if self._metric_name is not None and self._metric_name not in event.metrics:
            raise InputError(f"trial {event.trial} reports no {self._metric_name}")
        return trial

    def _go_on(self, trial: Trial) -> None:
        """A trial waits no longer, if it did."""
        if self.waiting.pop(trial.number, None) is not None:
            trial.is_waiting = False
            self._in_training[trial.number] = trial

    def _report(self, event: Report) -> None:
        trial = self.by_number[event.trial]
        self._go_on(trial)  # whoever reports goes on
        reported = Reported(event.epoch, event.metrics, event.decision, self._settled)
        if event.decision == "pause":
            self._settled += not trial.has_waited
            trial.is_waiting = True
            self.waiting[event.trial] = self._in_training.pop(event.trial)
        trial.reports.append(reported)
        self._reported.append(reported)
        self.epochs += 1
        changes = len(self.changes)
        if changes and trial.changes_before(event.epoch) != changes:
            trial.trained_after.append((event.epoch, changes))

    def _finish(self, event: Finished) -> None:
        trial = self.by_number[event.trial]
        trial.state, trial.reason, trial.ended = event.state, event.reason, event.time
        trial.seconds = max(0.0, self.seconds(event.time) - trial.seconds_before)
        self._go_on(trial)
        del self.running[event.trial], self._in_training[event.trial]
        self._settled += not trial.has_waited
        self._finished.append(trial)
        self._counts["running"] -= 1
        self._counts[event.state] += 1

    def worst(self, metric: Metric) -> float:
        """The worst finite value of the metric so far; a very bad one where there is none yet."""
        seen, worst = self._worsts.get(metric, (0, None))
        for report in self._reported[seen:]:
            value = metric.of(report)
            if math.isfinite(value) and (worst is None or metric.better(worst, value)):
                worst = value
        self._worsts[metric] = len(self._reported), worst
        if worst is None:
            return _UNSEEN if metric.is_minimized else -_UNSEEN
        return worst

    def __len__(self) -> int:
        return len(self.by_number)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.by_number.values())

    def seconds(self, now: float | None = None) -> float:
        """Time spent searching, over all sessions, up to ``now`` (left out: the last event)."""
        latest = self._last_time if now is None else now
        return max(0.0, self._seconds_before + latest - self._session_began)

    @property
    def finished(self) -> Sequence[Trial]:
        """The trials that have ended, in the order of their ends."""
        return self._finished

    @property
    def in_training(self) -> list[Trial]:
        """The trials that run and do not wait, in the order of their numbers."""
        return [self._in_training[number] for number in sorted(self._in_training)]

    def counts(self) -> dict[State, int]:
        """How many trials are in each state, zeros too."""
        return dict(self._counts)

    def ended_since(self, report: Reported) -> int:
        """How many trials have ended, or waited for the first time, since a report came."""
        return self._settled - report.ended_before

    def best(self, metric: Metric) -> Trial | None:
        """The first of ``ranked``, found without looking at all trials again."""
        seen, leader = self._leaders.get(metric, (0, None))
        ended = [] if leader is None else [leader]
        leader = min(
            (t for t in (*ended, *self._finished[seen:]) if t.value(metric) is not None),
            key=lambda trial: _rank(trial, metric),
            default=None,
        )
        self._leaders[metric] = len(self._finished), leader
        candidates = [*self.running.values(), *([] if leader is None else [leader])]
        return min(
            (t for t in candidates if t.value(metric) is not None),
            key=lambda trial: _rank(trial, metric),
            default=None,
        )

    def ranked(self, metric: Metric) -> list[Trial]:
        """The trials that have a value, the best first; ties go to the lower number.

        Diverged and failed trials have none, running ones that of their latest report.
        """
        valued = (trial for trial in self if trial.value(metric) is not None)
        return sorted(valued, key=lambda trial: _rank(trial, metric))


def _rank(trial: Trial, metric: Metric) -> tuple[float, int]:
    value = trial.value(metric)
    assert value is not None
    return (metric.cost(value), trial.number)
