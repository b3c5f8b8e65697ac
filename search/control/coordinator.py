"""The coordinator: hands out trials, takes their reports, decides; the journal comes first."""

from __future__ import annotations

from analysis.display.numbers import number
from analysis.record.events import (
    Changed,
    Created,
    Ended,
    Event,
    Finished,
    Moved,
    Resumed,
    Started,
    State,
)
from analysis.record.journal import Journal, replay
from analysis.record.trials import Trial
from search.control.budget import SOFT, extended, most_trials
from search.control.controller import Leader, Trainings
from search.control.policy import Rules
from search.control.sampler import Sampler
from spaces.experiment import Budget, Experiment
from spaces.problems import InputError


class Coordinator(Trainings):
    """Hands out the trials of a search and takes their reports, in either transport.

    What follows from what is in ``rules``; here every event is written to the journal before it is
    acted on, and a run is resumed by taking the same events in again.

    Args:
        experiment: the search.
        journal: where events are written.
    """

    def __init__(self, experiment: Experiment, journal: Journal) -> None:
        super().__init__(experiment, Rules(experiment))
        self._sampler = Sampler(experiment)
        self._journal = journal
        journal.check = self.rules.check
        self._is_exhausted = False
        self._end_reason: str | None = None

    @property
    def budget(self) -> Budget:
        """The limits that hold now."""
        return self.rules.budget

    @property
    def most_trials(self) -> int | None:
        """How many trials the budget and a grid allow, where they set a bound."""
        return most_trials(self.experiment, self.budget)

    def leader(self) -> Leader | None:
        """The best trial so far, for people."""
        metric = self.experiment.metric
        best = self.trials.best(metric)
        value = None if best is None else best.value(metric)
        if best is None or value is None:
            return None
        score = f"{metric.name} {number(value)}"
        line = f"{score}  trial {best.number}, epoch {best.epoch}, {best.state}"
        return Leader("best", line, best.params)

    def is_baseline(self, number: int) -> bool:
        """Whether a trial is the baseline."""
        return self.rules.is_baseline(number)

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
        self._finish_told()
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
        if self.must_stop_now or self.first_failures.are_enough:
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
        drawn_from, seed = self._sampler.drawn_from(number), self.rules.seed(number)
        self._write(Created(trial=number, params=params, seed=seed, distributions=drawn_from))
        return self.trials.by_number[number]

    def note(self, event: Changed | Moved) -> None:
        """Write down what has changed."""
        self._write(event)

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
        super()._finish(trial, state, reason)
        self._sampler.tell(trial, self.trials.worst(self.experiment.metric))

    def _replay(self, event: Event) -> None:
        """Take an event of the journal in, as if it were happening now."""
        self.rules.replay(event)
        if isinstance(event, Created):
            self._sampler.restore(event.trial, event.params, event.distributions)
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
        spent = self.rules.spent(self.trials.seconds(self._journal.now()))
        if spent and self._end_reason is None:
            self._end_reason = spent[0]
        return spent

    def _is_spent(self) -> bool:
        return self._end_reason is not None or bool(self._spent())
