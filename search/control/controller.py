"""What hands out trainings and takes their reports, of a search and of reruns alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from analysis.record.events import (
    Attempt,
    Decision,
    Event,
    Finished,
    Report,
    State,
    Training,
)
from analysis.record.journal import replay
from analysis.record.trials import Trial, Trials
from analysis.views.projection import Projection
from search.control.event_log import EventLog
from search.control.first_failures import FirstFailures, end_of_session
from search.control.policy import Policy
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.problems import InputError
from trainables.user_code.metrics import absent_metric

NOTHING_REPORTED = (
    "the code ended before it reported an epoch: yield the metrics of each epoch, such as "
    'yield {"val_loss": loss}, or call context.report({"val_loss": loss})'
)


class Leader(NamedTuple):
    """A line on what leads, a word for what it is, and its parameters."""

    kind: str
    line: str
    params: Params


def _recorded(trial: Trial, epoch: int) -> Decision:
    """What a report that comes again is answered; what was promoted since goes on."""
    decision = trial.reports[epoch - 1].decision
    if decision == "pause":
        return "stop" if trial.is_waiting and epoch == trial.epoch else "continue"
    return decision


class Controller(ABC):
    """Decides, then writes the event to the journal, then applies it: always in this order.

    Args:
        experiment: says what is trained, and how.
        policy: decides what follows from a report.
        journal: where events are written; its ``check`` is set.
    """

    noun = "trial"  # what one of them is called in messages

    def __init__(self, experiment: Experiment, policy: Policy, journal: EventLog) -> None:
        self.experiment = experiment
        self.policy = policy
        self.is_interrupted = False
        self.first_failures = FirstFailures(keep_going=True)  # a session sets another
        self.projections: Sequence[Projection] = ()  # are given every event from now on
        self.journal = journal
        self._unfinished: list[Trial] = []
        journal.check = self.check

    @property
    def trials(self) -> Trials:
        """How they stand."""
        return self.policy.trials

    @property
    @abstractmethod
    def must_stop_now(self) -> bool:
        """Whether running trainings shall stop where they are."""

    @property
    @abstractmethod
    def most_trials(self) -> int | None:
        """How many there will be at most, where that is known."""

    @property
    @abstractmethod
    def is_finished(self) -> bool:
        """Whether every training has ended and none will come."""

    @abstractmethod
    def leader(self) -> Leader | None:
        """What is the best so far, for people."""

    @abstractmethod
    def next_trial(self) -> Trial | None:
        """The next one to train; None when there is none for now, or will be none any more."""

    @abstractmethod
    def check(self, event: Event) -> None:
        """See that an event fits those before; nothing is changed.

        Raises:
            InputError: when it does not.
        """

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Take in an event that is in the journal: one just written, or one that is replayed."""

    @abstractmethod
    def _wrapped(self, event: Training) -> Event:
        """An event of a training, as it stands in the journal."""

    def replay(self) -> None:
        """Take in what the journal has.

        Raises:
            InputError: when it is damaged.
        """
        replay(self.journal.path, self._take)

    def _take(self, event: Event) -> None:
        self.check(event)
        self.apply(event)

    def write(self, event: Event) -> None:
        """Write an event to the journal, then apply it, then show it to the projections."""
        written = self.journal.append(event)
        self.apply(written)
        for projection in self.projections:
            projection.write(written, self.searched)

    @property
    def searched(self) -> Trials:
        """The trials of the search, which projections show."""
        return self.trials

    @abstractmethod
    def close(self, reason: str | None = None) -> None:
        """The session ends, and why; left out: the plan is carried out, or it was interrupted."""

    @contextmanager
    def projecting(self, projections: Sequence[Projection]) -> Iterator[None]:
        """Show every event from now on to views; they are closed, should a session not begin."""
        self.projections = projections
        try:
            yield
        except BaseException:
            self._close_projections()
            raise

    def _close_projections(self) -> None:
        """Close the views of the run, each of which is whole then."""
        projections, self.projections = self.projections, ()
        with ExitStack() as closing:
            for projection in projections:
                closing.callback(projection.close)

    def has_failed_before(self, number: int) -> bool:
        """Whether a training is one that failed, tried once more."""
        return False

    def origin(self, number: int) -> Trial | None:
        """The trial from whose checkpoint a training begins, if it does not begin anew."""
        return None

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        steps: Sequence[tuple[int, float]] = (),
        is_last: bool = False,
    ) -> Decision:
        """Take the report of an epoch and decide whether the training goes on.

        A report that the journal already has gets the decision that was recorded. A trial that is
        paused leaves its worker, as one that is stopped.

        Args:
            number: the training's.
            epoch: the epoch that it ended, from 1.
            metrics: by name.
            steps: (optimizer step, mean training loss of the last 50 steps).
            is_last: whether the training ends with it, of its own accord.

        Raises:
            InputError: when the metric of the search is not among them, or an epoch was left out.
        """
        trial = self.trials.by_number[number]
        if epoch <= trial.epoch:
            return _recorded(trial, epoch)
        name = self.experiment.metric.name
        if name not in metrics:
            raise InputError(absent_metric(name, epoch, metrics))
        report = Report(
            trial=number,
            epoch=epoch,
            metrics=metrics,
            decision="continue",
            steps=list(steps),
            last=is_last,
        )
        self.trials.expect(report)
        decision = self.policy.decide(report)
        self.write(self._wrapped(report.model_copy(update={"decision": decision})))
        if decision == "stop":
            self._finish(trial, self.policy.ending[number], None)
        return self._paused(trial) if decision == "pause" else decision

    def _paused(self, trial: Trial) -> Decision:
        """What the worker of a trial that was paused is told: to leave it."""
        return "stop"

    def saved(self) -> dict[int, str]:
        """A checkpoint of some training was saved, which shows that its code works.

        Returns:
            The trainings that are recorded as failed only now, by number, with their reasons.
        """
        return self._fail_all(self.first_failures.release())

    def attempt(self, number: int, reason: str) -> None:
        """Note that a training's process died and is started again."""
        self.write(self._wrapped(Attempt(trial=number, reason=reason)))

    def attempts_left(self, number: int) -> int:
        """How often a training whose process dies may still be started again."""
        return self.experiment.max_failures - self.trials.by_number[number].attempts

    def is_baseline(self, number: int) -> bool:
        """Whether a training is the one that a search must beat."""
        return False

    def hand_back(self, number: int) -> None:
        """Take back one that could not be started; ``next_trial`` hands it out again."""
        self._unfinished.insert(0, self.trials.by_number[number])

    def fail(self, number: int, reason: str) -> dict[int, str]:
        """Note that a training's code failed, unless that is held back for now.

        Returns:
            The trainings that are recorded as failed now, by number, with their reasons.

        Raises:
            RunError: when it is the baseline's, before its first report.
        """
        is_new = not self.trials.by_number[number].reports
        if self.is_baseline(number) and is_new and not self.first_failures.keep_going:
            raise end_of_session(
                f"trial {number}, the baseline, failed before its first report", reason
            )
        if self.has_failed_before(number):
            return self._fail_all({number: reason})
        if self.first_failures.hold(number, reason):
            return {}
        return self._fail_all({**self.first_failures.release(), number: reason})

    def _fail_all(self, failed: dict[int, str]) -> dict[int, str]:
        for number, reason in failed.items():
            self.end(number, "failed", reason)
        return failed

    def end(self, number: int, state: State, reason: str | None = None) -> None:
        """Note that a training ended in a way that no report tells."""
        trial = self.trials.by_number[number]
        if trial.state == "running":
            self._finish(trial, state, reason)

    def end_early(self, number: int) -> None:
        """Note that a training's code returned before max_epochs."""
        if self.trials.by_number[number].reports:
            self.end(number, "completed")
        else:
            self.fail(number, NOTHING_REPORTED)

    def _finish(self, trial: Trial, state: State, reason: str | None) -> None:
        assert state != "running"
        if state == "diverged" and reason is None:
            reason = self.policy.why_diverged(trial, trial.reports[-1].metrics)
        ended = Finished(trial=trial.number, state=state, epoch=trial.epoch, reason=reason)
        self.write(self._wrapped(ended))

    def _finish_stopped(self) -> None:
        """End those that had been told to stop when the process died."""
        for number, state in list(self.policy.ending.items()):
            self._finish(self.trials.by_number[number], state, None)
