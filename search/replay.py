"""``shoal replay``: a journal's decisions made once more, and compared with the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.events import Confirmed, Created, Event, Finished, Report, Rerun, Started, State
from analysis.journal import replay
from analysis.reruns import Reruns
from analysis.run import RunFolder
from search.candidates import race_among, verdict
from search.rerunning import rerun_rules, seed_of
from search.rules import Rules
from search.sampler import Sampler
from spaces.checks import parse_experiment
from spaces.experiment import Experiment


@dataclass(frozen=True)
class Replayed:
    """``decisions``: how many are the same; ``difference``: the first that is not, if any."""

    decisions: int
    difference: str | None


class _DifferenceError(Exception):
    """A decision is another one now."""


def replay_run(folder: RunFolder, experiment: Experiment, proposals: bool = False) -> Replayed:
    """Run the events of a journal through the rules again.

    Compared are each trial's seed, each report's decision, each state that follows from one, and
    that no trial was begun once a budget was spent (hours excepted, which only a clock can tell);
    of reruns seeds and decisions, and who won a race and by which scores.

    Args:
        folder: the run.
        experiment: its experiment.
        proposals: whether the sampler shall propose every configuration again, too; exact with the
            versions of Optuna and NumPy that the run was made with.

    Raises:
        InputError: when the journal is damaged.
    """
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
        self._rules = Rules(experiment)
        self._rerun_rules = rerun_rules(experiment)
        self._reruns = Reruns(self._rerun_rules.trials)
        self._sampler = None
        if proposals:  # which takes an experiment that is sound as a whole
            self._sampler = Sampler(parse_experiment(experiment.plain()))

    def take(self, event: Event) -> None:
        """Take an event in.

        Raises:
            _DifferenceError: when what it says is decided otherwise now.
        """
        self._line += 1
        match event:
            case Created():
                spent = self._rules.spent(seconds=0.0)
                self._compare(f"limits spent before trial {event.trial}", [], spent)
                seed = self._rules.seed(event.trial)
                self._compare(f"the seed of trial {event.trial}", event.seed, seed)
                self._rules.replay(event)
                self._propose(event)
            case Report():
                decision = self._rules.replay(event)
                place = f"the decision on trial {event.trial} at epoch {event.epoch}"
                self._compare(place, event.decision, decision)
            case Finished():
                state = self._rules.ending.get(event.trial) or self._state_without_decision(event)
                self._compare(f"the state of trial {event.trial}", event.state, state)
                self._rules.replay(event)
                self._tell(event)
            case Started():
                self._rules.replay(event)
                self._rerun_rules.replay(event)
            case Rerun():
                self._rules.replay(event)
                self._take_rerun(event)
            case Confirmed():
                self._rules.replay(event)
                self._judge(event)
                self._reruns.note(event)
            case _:
                self._rules.replay(event)

    def _take_rerun(self, event: Rerun) -> None:
        what = event.what
        decision = self._rerun_rules.replay(what)
        self._reruns.note(event)
        if isinstance(what, Created):
            self._compare(f"the seed of rerun {what.trial}", what.seed, self._seed_of(event))
        elif isinstance(what, Report):
            place = f"the decision on rerun {what.trial} at epoch {what.epoch}"
            self._compare(place, what.decision, decision)

    def _seed_of(self, event: Rerun) -> int:
        return seed_of(self._experiment, event.job, self._rules.trials)

    def _judge(self, event: Confirmed) -> None:
        trials = self._rules.trials
        asked = (event.candidates, event.most_seeds, event.rule, event.prefer_small)
        race = race_among(self._experiment, trials, *asked)
        ended = self._reruns.ended(race.wants, self._experiment.metric)
        now = verdict(self._experiment, race, ended, trials).model_copy(update={"time": event.time})
        self._compare("what was confirmed", event.model_dump_json(), now.model_dump_json())

    def _state_without_decision(self, event: Finished) -> State:
        """A trial that no report ended: its process died, or its code returned early."""
        return "completed" if event.state == "completed" and event.epoch else "failed"

    def _propose(self, event: Created) -> None:
        if self._sampler is not None:
            params = self._sampler.ask(event.trial)
            self._compare(f"the configuration of trial {event.trial}", event.params, params)

    def _tell(self, event: Finished) -> None:
        if self._sampler is not None:
            trials = self._rules.trials
            worst = trials.worst(self._rules.experiment.metric)
            self._sampler.tell(trials.by_number[event.trial], worst)

    def _compare(self, what: str, recorded: object, now: object) -> None:
        if recorded != now:
            raise _DifferenceError(
                f"line {self._line}: {what} was {recorded!r}, and is {now!r} by the rules"
            )
        self.decisions += 1
