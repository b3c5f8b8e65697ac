"""``shoal replay``: a journal's decisions made once more, and compared with the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from analysis.record.chain import broken_link, broken_text
from analysis.record.events import (
    Confirmed,
    Created,
    Decision,
    Ended,
    Event,
    Finished,
    Promoted,
    Report,
    Rerun,
    Resumed,
    Started,
    State,
    Tested,
    Training,
)
from analysis.record.folder import RunFolder
from analysis.record.journal import replay
from analysis.record.reruns import Reruns
from search.control.choices import Choices
from search.control.policy import Policy
from search.rerun.candidates import race_among, verdict
from search.rerun.rerunner import rerun_policy, seed_of
from spaces.experiment import Budget, Experiment


@dataclass(frozen=True)
class Replayed:
    """``decisions``: how many are the same; ``difference``: the first that is not, if any."""

    decisions: int
    difference: str | None


class _DifferenceError(Exception):
    """A decision is another one now."""


def replay_run(folder: RunFolder, experiment: Experiment, proposals: bool = False) -> Replayed:
    """Run the events of a journal through the rules again.

    First the chain of the journal's lines is checked. Then are compared each trial's seed, each
    report's decision, each trial's last state and epoch, that no trial was begun once a budget was
    spent and which limit ended the search (hours excepted, which only a clock can tell); of reruns
    seeds and decisions, who won a race and by which scores, and whose test scores were read.

    Args:
        folder: the run.
        experiment: its experiment.
        proposals: whether the sampler shall propose every configuration again, too; exact with the
            versions of Optuna and NumPy that the run was made with.

    Raises:
        InputError: when the journal is damaged.
    """
    broken = broken_link(folder.journal_file)
    if broken is not None:
        return Replayed(0, broken_text(broken))
    again = _Replay(experiment, proposals)
    try:
        replay(folder.journal_file, again.take)
    except _DifferenceError as difference:
        return Replayed(again.decisions, str(difference))
    return Replayed(again.decisions, None)


class _Replay:
    def __init__(self, experiment: Experiment, proposals: bool) -> None:
        self.decisions = 0
        self._line = 0
        self._experiment = experiment
        self._policy = Policy(experiment)
        self._rerun_policy = rerun_policy(experiment)
        self._reruns = Reruns(self._rerun_policy.trials)
        self._spent: set[str] = set()  # limits reached since the search began or was resumed
        self._choices = None
        if proposals:  # for which a space is imported that is only read otherwise
            whole = Experiment.model_validate(experiment.plain())
            self._choices = Choices(whole, self._policy)

    def take(self, event: Event) -> None:
        """Take an event in.

        Raises:
            _DifferenceError: when what it says is decided otherwise now.
        """
        self._line += 1
        if isinstance(event, Created | Promoted):
            self._choose(event)
        self._take(event)
        if self._choices is not None:
            self._choices.take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Created():
                spent = self._policy.spent(seconds=0.0)
                self._compare(f"limits spent before trial {event.trial}", [], spent)
                seed = self._policy.seed(event.trial)
                self._compare(f"the seed of trial {event.trial}", event.seed, seed)
                self._policy.take(event)
            case Report():
                decision = self._decide(self._policy, event)
                place = f"the decision on trial {event.trial} at epoch {event.epoch}"
                self._compare(place, event.decision, decision)
            case Finished():
                self._finish(event, self._policy, "trial")
                self._policy.take(event)
            case Ended():
                self._end(event)
                self._policy.take(event)
            case Resumed():
                self._policy.take(event)
                self._spent.clear()
            case Tested():
                self._policy.take(event)
                self._test(event)
            case Started():
                self._policy.take(event)
                self._rerun_policy.take(event)
            case Rerun():
                self._policy.take(event)
                self._take_rerun(event)
            case Confirmed():
                self._policy.take(event)
                self._judge(event)
                self._reruns.note(event)
            case _:
                self._policy.take(event)
        if isinstance(event, Started | Resumed | Created | Promoted | Report | Finished):
            self._spent.update(self._policy.spent(seconds=0.0))

    @staticmethod
    def _decide(policy: Policy, event: Training) -> Decision | None:
        """What is decided now on a report, which is taken in; None for other events."""
        policy.check(event)
        decision = policy.decide(event) if isinstance(event, Report) else None
        policy.apply(event)
        return decision

    def _take_rerun(self, event: Rerun) -> None:
        what = event.what
        self._reruns.check(event)
        if isinstance(what, Finished):
            self._finish(what, self._rerun_policy, "rerun")
        decision = self._decide(self._rerun_policy, what)
        self._reruns.note(event)
        if isinstance(what, Created):
            self._compare(f"the seed of rerun {what.trial}", what.seed, self._seed_of(event))
        elif isinstance(what, Report):
            place = f"the decision on rerun {what.trial} at epoch {what.epoch}"
            self._compare(place, what.decision, decision)

    def _seed_of(self, event: Rerun) -> int:
        return seed_of(self._experiment, event.job, self._policy.trials)

    def _judge(self, event: Confirmed) -> None:
        trials = self._policy.trials
        asked = (event.candidates, event.most_seeds, event.rule, event.prefer_small)
        race = race_among(self._experiment, trials, *asked)
        ended = self._reruns.ended(race.wants, self._experiment.metric)
        now = verdict(self._experiment, race, ended, trials).model_copy(update={"time": event.time})
        self._compare("what was confirmed", event.model_dump_json(), now.model_dump_json())

    def _test(self, event: Tested) -> None:
        """The test split is read once, for a winner or the baseline, with its measured seeds."""
        last = self._reruns.confirmed[-1] if self._reruns.confirmed else None
        read = [test.trial for test in self._reruns.tested]
        wanted = [] if last is None else [n for n in (last.winner, 0) if n not in (None, *read)]
        if event.trial not in wanted:
            self._differ(f"trial {event.trial} was tested, which no confirmation had measured")
        measured = self._reruns.of(event.trial, "measure")
        seeds = [rerun.seed for rerun in measured][: len(event.seeds)]
        self._compare(f"the seeds of the tested trial {event.trial}", event.seeds, seeds)
        self._reruns.note(event)

    def _end(self, event: Ended) -> None:
        """A limit that ended the search was reached; the other reasons no journal can prove."""
        provable = Budget.model_fields.keys() - {"hours"}
        if event.reason in provable - self._spent:
            self._differ(f"the search ended by {event.reason}, a limit that was not reached")

    def _finish(self, event: Finished, policy: Policy, noun: str) -> None:
        trial = policy.trials.by_number.get(event.trial)
        state = policy.ending.get(event.trial) or self._state_without_decision(event)
        if trial is not None and trial.is_waiting and event.state == "stopped":
            state = "stopped"  # it waited until the search ended
        self._compare(f"the state of {noun} {event.trial}", event.state, state)
        if trial is not None:
            self._compare(f"the last epoch of {noun} {event.trial}", event.epoch, trial.epoch)

    def _state_without_decision(self, event: Finished) -> State:
        """A trial that no report ended: its process died, or its own code returned early."""
        may_return = self._experiment.trainable is not None and event.epoch > 0
        return "completed" if event.state == "completed" and may_return else "failed"

    def _choose(self, event: Created | Promoted) -> None:
        """Compare what a worker began with what the rules choose now, where that is asked for."""
        if self._choices is None:
            return
        chosen = self._choices.next(may_begin=not self._spent)
        trial = None if chosen.waiting is None else chosen.waiting.number
        if isinstance(event, Promoted):
            self._compare("the trial that was promoted", event.trial, trial)
            return
        self._compare(f"what was promoted instead of trial {event.trial}", None, trial)
        now = chosen.proposal
        proposed = None if now is None else {**now.params, **now.settings}
        recorded = {**event.params, **event.settings}
        self._compare(f"the configuration of trial {event.trial}", recorded, proposed)

    def _compare(self, what: str, recorded: object, now: object) -> None:
        if recorded != now:
            self._differ(f"{what} was {recorded!r}, and is {now!r} by the rules")
        self.decisions += 1

    def _differ(self, what: str) -> NoReturn:
        raise _DifferenceError(f"line {self._line}: {what}")
