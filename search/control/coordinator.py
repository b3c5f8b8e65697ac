"""The coordinator: hands out trials, takes their reports, decides; the journal comes first."""

from __future__ import annotations

from analysis.display.numbers import number
from analysis.record.events import (
    Created,
    Decision,
    Ended,
    Event,
    Promoted,
    Resumed,
    Started,
    Training,
)
from analysis.record.trials import Trial
from search.control.budget import SOFT, extended, most_trials
from search.control.choices import Choice, Choices, Chooser
from search.control.controller import Controller, Leader
from search.control.event_log import EventLog
from search.control.policy import Policy
from spaces.experiment import Budget, Experiment
from spaces.problems import InputError


class Coordinator(Controller):
    """Hands out the trials of a search and takes their reports, in any transport.

    What follows from what is in ``policy``. A run is resumed by applying the same events again.

    Args:
        experiment: the search.
        journal: where events are written.
        choices: what comes next; left out: what the experiment's sampler and scheduler say.
    """

    def __init__(
        self, experiment: Experiment, journal: EventLog, choices: Chooser | None = None
    ) -> None:
        super().__init__(experiment, Policy(experiment), journal)
        self._choices = choices or Choices(experiment, self.policy)
        self._end_reason: str | None = None

    @property
    def budget(self) -> Budget:
        """The limits that hold now."""
        return self.policy.budget

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
        return Leader("best", line, best.configuration)

    def is_baseline(self, number: int) -> bool:
        """Whether a trial is the baseline."""
        return self.policy.is_baseline(number)

    def start(self, started: Started) -> None:
        """Begin a new run."""
        self.write(started)

    def resume(self, trials: int = 0, hours: float = 0.0) -> None:
        """Take in what the journal has, and go on from there; as ``replay`` and ``go_on``."""
        self.replay()
        self.go_on(trials, hours)

    def go_on(self, trials: int = 0, hours: float = 0.0) -> None:
        """Go on where the journal ends, which was replayed.

        Args:
            trials: so many more than the budget has.
            hours: so many more than the budget has.

        Raises:
            InputError: when the budget is spent and nothing was added.
        """
        budget = self.resumed_budget(trials, hours)
        self.write(Resumed(budget=budget.model_dump(exclude_none=True)))
        self._finish_stopped()
        self._unfinished = self.trials.in_training

    def check(self, event: Event) -> None:
        """See that an event fits those before, and the experiment; nothing is changed."""
        self.policy.check(event)

    def apply(self, event: Event) -> None:
        """Take in an event that is in the journal."""
        self.policy.apply(event)
        self._choices.take(event)

    def _wrapped(self, event: Training) -> Event:
        return event

    def resumed_budget(self, trials: int, hours: float) -> Budget:
        """The limits with which a run goes on; nothing is changed. As ``resume``."""
        seconds = self.trials.seconds()
        spent = self.policy.spent(seconds)
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
        """What to train next: unfinished trials first, then a new one, or one that waits.

        Returns None when there is none for now, because the budget is spent or the search is being
        interrupted; ``is_over`` says whether there will be none any more.
        """
        if self.must_stop_now or self.first_failures.are_enough:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        proposal, waiting = self._next()
        if waiting is not None:
            self.write(Promoted(trial=waiting.number))
            return waiting
        if proposal is None:
            if self._is_idle:
                self._stop_waiting()
            return None
        number = len(self.trials)
        seed = self.policy.seed(number)
        self.write(
            Created(
                trial=number,
                params=proposal.params,
                seed=seed,
                distributions=proposal.distributions,
                settings=proposal.settings,
            )
        )
        return self.trials.by_number[number]

    def _next(self) -> Choice:
        """What a free worker shall do; nothing is changed."""
        return self._choices.next(may_begin=not self._is_spent())

    @property
    def _is_idle(self) -> bool:
        """Whether no trial is being trained."""
        return len(self.trials.running) == len(self.trials.waiting)

    def _stop_waiting(self) -> None:
        """The search is over for those that wait."""
        for trial in list(self.trials.waiting.values()):
            self._finish(trial, "stopped", None)

    def _paused(self, trial: Trial) -> Decision:
        """A trial that would be promoted at once goes on where it is; others are left."""
        must_leave = self._unfinished or self.must_stop_now or self.first_failures.are_enough
        if must_leave or self._next().waiting is not trial:
            return "stop"
        self.write(Promoted(trial=trial.number))
        return "continue"

    def close(self, reason: str | None = None) -> None:
        """Note that the searching ends, and why; left out: the limit reached, or interrupted."""
        if reason is None:
            self._spent()
            reason = "interrupted" if self.is_interrupted else self._end_reason or "space"
        try:
            if not self.must_stop_now and reason != "error":
                self._stop_waiting()
            self.write(Ended(reason=reason))
        finally:
            self._close_projections()

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be handed out."""
        return self.must_stop_now or (
            not self._unfinished
            and (self._choices.is_exhausted or self._is_spent())
            and self._next().waiting is None
        )

    @property
    def is_finished(self) -> bool:
        """Whether every trial has ended and none will come."""
        return self._is_idle and self.is_over

    @property
    def must_stop_now(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.is_interrupted or any(limit not in SOFT for limit in self._spent())

    def _spent(self) -> list[str]:
        """The limits reached now; the first ever reached is why the search ends."""
        spent = self.policy.spent(self.trials.seconds(self.journal.now()))
        if spent and self._end_reason is None:
            self._end_reason = spent[0]
        return spent

    def _is_spent(self) -> bool:
        return self._end_reason is not None or bool(self._spent())
