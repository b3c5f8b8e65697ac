"""The coordinator: hands out trials, takes their reports, decides; the journal comes first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from analysis.events import (
    Attempt,
    CheckpointSaved,
    Created,
    Decision,
    Ended,
    Event,
    Finished,
    Report,
    Resumed,
    Started,
    State,
)
from analysis.journal import Journal, replay
from analysis.projection import Projection
from analysis.trials import Trial, Trials
from search.budget import SOFT, extended
from search.rules import Rules
from search.sampler import Sampler
from spaces.experiment import Budget, Experiment
from spaces.problems import InputError, unknown_name


class Coordinator:
    """Hands out the trials of a search and takes their reports, in either transport.

    What follows from what is in ``rules``; here every event is written to the journal before it is
    acted on, and a run is resumed by taking the same events in again.

    Args:
        experiment: the search.
        journal: where events are written.
    """

    def __init__(self, experiment: Experiment, journal: Journal) -> None:
        self.experiment = experiment
        self.rules = Rules(experiment)
        self.is_interrupted = False
        self.projections: Sequence[Projection] = ()  # are given every event from now on
        self._sampler = Sampler(experiment)
        self._journal = journal
        self._unfinished: list[Trial] = []
        self._is_exhausted = False
        self._end_reason: str | None = None

    @property
    def trials(self) -> Trials:
        """How the run stands."""
        return self.rules.trials

    @property
    def budget(self) -> Budget:
        """The limits that hold now."""
        return self.rules.budget

    def start(self, started: Started) -> None:
        """Begin a new run."""
        self._write(started)

    def resume(self, trials: int = 0, hours: float = 0.0) -> None:
        """Take the events of the journal in and go on where they end.

        Args:
            trials: so many more than the budget has.
            hours: so many more than the budget has.

        Raises:
            InputError: when the budget is spent and nothing was added, or the journal is damaged.
        """
        replay(self._journal.path, self._replay)
        budget = self._resumed_budget(trials, hours)
        self._write(Resumed(budget=budget.model_dump(exclude_none=True)))
        for number, state in list(self.rules.ending.items()):  # stopped as the process died
            self._finish(self.trials.by_number[number], state, None)
        self._unfinished = list(self.trials.running.values())

    def _resumed_budget(self, trials: int, hours: float) -> Budget:
        seconds = self.trials.seconds()
        spent = self.rules.spent(seconds)
        if self.trials.ended is not None and self.trials.ended.reason == "space":
            raise InputError("the run is finished: every combination of its grid was tried")
        if trials or hours:
            return extended(self.budget, spent, len(self.trials), seconds / 3600, trials, hours)
        ended = self.trials.ended
        is_done = ended is not None and ended.reason not in ("interrupted", "error")
        if is_done and spent and (not self.trials.running or set(spent) - set(SOFT)):
            limits = ", ".join(f"{name} ({getattr(self.budget, name)})" for name in spent)
            raise InputError(
                f"the run is finished, its budget is spent: {limits}; "
                "--trials or --hours extends it"
            )
        return self.budget

    def next_trial(self) -> Trial | None:
        """The next configuration to train: unfinished ones first, then a new one.

        Returns None when there is none for now, because the budget is spent or the search is being
        interrupted; ``is_over`` says whether there will be none any more.
        """
        if self.must_stop_now:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        if self._is_exhausted or self._is_spent():
            return None
        number = len(self.trials)
        params = self._sampler.ask(number)
        if params is None:
            self._is_exhausted = True
            return None
        self._write(Created(trial=number, params=params, seed=self.rules.seed(number)))
        return self.trials.by_number[number]

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        steps: Sequence[tuple[int, float]] = (),
    ) -> Decision:
        """Take the report of an epoch and decide whether the trial goes on.

        A report that the journal already has gets the decision that was recorded.

        Args:
            number: the trial's.
            epoch: the epoch that it ended, from 1.
            metrics: by name.
            steps: (optimizer step, mean training loss of the last 50 steps).

        Raises:
            InputError: when the metric of the search is not among them, or an epoch was left out.
        """
        trial = self.trials.by_number[number]
        if epoch <= trial.epoch:
            return trial.reports[epoch - 1].decision
        name = self.experiment.metric.name
        if name not in metrics:
            raise InputError(f"metric.name: {unknown_name('metric', name, metrics)}")
        report = Report(
            trial=number, epoch=epoch, metrics=metrics, decision="continue", steps=list(steps)
        )
        self.trials.expect(report)
        decision = self.rules.judge(number, epoch, metrics)
        self._write(report.model_copy(update={"decision": decision}))
        if decision == "stop":
            self._finish(trial, self.rules.ending[number], None)
        return decision

    def checkpoint(self, number: int, epoch: int, path: str) -> None:
        """Note that a trial can go on from a checkpoint."""
        self._write(CheckpointSaved(trial=number, epoch=epoch, path=path))

    def attempt(self, number: int, reason: str) -> None:
        """Note that a trial's process died and is started again."""
        self._write(Attempt(trial=number, reason=reason))

    def attempts_left(self, number: int) -> int:
        """How often a trial whose process dies may still be started again."""
        return self.experiment.max_failures - self.trials.by_number[number].attempts

    def hand_back(self, number: int) -> None:
        """Take back a trial that could not be started; ``next_trial`` hands it out again."""
        self._unfinished.insert(0, self.trials.by_number[number])

    def end(self, number: int, state: State, reason: str | None = None) -> None:
        """Note that a trial ended in a way that no report tells."""
        trial = self.trials.by_number[number]
        if trial.state == "running":
            self._finish(trial, state, reason)

    def end_early(self, number: int) -> None:
        """Note that a trial's code returned before max_epochs."""
        if self.trials.by_number[number].reports:
            self.end(number, "completed")
        else:
            self.end(number, "failed", "the code ended before it reported an epoch")

    def close(self, reason: str | None = None) -> None:
        """Note that the searching ends, and why; left out: the limit reached, or interrupted."""
        if reason is None:
            self._spent()
            reason = "interrupted" if self.is_interrupted else self._end_reason or "space"
        self._write(Ended(reason=reason))
        for projection in self.projections:
            projection.close()

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be handed out."""
        return self.must_stop_now or (
            not self._unfinished and (self._is_exhausted or self._is_spent())
        )

    @property
    def is_finished(self) -> bool:
        """Whether every trial has ended and none will come."""
        return not self.trials.running and self.is_over

    @property
    def must_stop_now(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.is_interrupted or any(limit not in SOFT for limit in self._spent())

    def _finish(self, trial: Trial, state: State, reason: str | None) -> None:
        assert state != "running"
        self._write(Finished(trial=trial.number, state=state, epoch=trial.epoch, reason=reason))
        self._sampler.tell(trial, self.trials.worst(self.experiment.metric))

    def _replay(self, event: Event) -> None:
        """Take an event of the journal in, as if it were happening now."""
        self.rules.replay(event)
        if isinstance(event, Created):
            self._sampler.restore(event.trial, event.params)
        elif isinstance(event, Finished):
            trial = self.trials.by_number[event.trial]
            self._sampler.tell(trial, self.trials.worst(self.experiment.metric))

    def _write(self, event: Event) -> None:
        written = self._journal.append(event)
        self.rules.apply(written)
        for projection in self.projections:
            projection.write(written, self.trials)

    def _spent(self) -> list[str]:
        """The limits reached now; the first ever reached is why the search ends."""
        spent = self.rules.spent(self.trials.seconds(time.time()))
        if spent and self._end_reason is None:
            self._end_reason = spent[0]
        return spent

    def _is_spent(self) -> bool:
        return self._end_reason is not None or bool(self._spent())
