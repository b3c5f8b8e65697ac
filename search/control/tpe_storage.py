"""What a sampler is shown of the trials that ended: all, or a part that stands for them."""

from __future__ import annotations

import copy
from bisect import insort
from collections import ChainMap
from collections.abc import Container, Mapping, MutableSequence, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from spaces.metric import Metric
from spaces.parameters import Params

_FORGOTTEN = create_trial(state=TrialState.FAIL)
_GOOD = 25  # TPE learns from at most so many good trials; all others are what it stays away from


class History(InMemoryStorage):
    """Optuna's storage in memory, which shows at most so many ended trials.

    TPE looks at every trial anew for each proposal, several times over where parameters have
    conditions. Beyond ``most`` it is shown those that it counts as good, exactly, and a sample of
    all that ended: every k-th by number, so that recent ones weigh more than old ones as before.
    What is shown follows from what was told, so that a history built again shows the same.

    Args:
        metric: whose values the trials have.
        most: how many ended trials are shown, above 250; None: all. Running ones always are.
    """

    def __init__(self, metric: Metric, most: int | None = None) -> None:
        super().__init__()
        self._metric = metric
        self._most = most
        self._ranked: list[tuple[tuple[int, int, float], int]] = []  # (rank, number), best first
        self._ended: list[int] = []  # their numbers, ascending
        self._running: set[int] = set()  # the numbers of those that have not ended

    def draft(self) -> History:
        """A copy that a sampler can begin a trial in, without a change of this one.

        Optuna replaces trials and attributes, and never changes one in place; the lists and
        mappings that hold them it does change. No trial here is waiting, so Optuna need not look
        for one among them.
        """
        other = copy.copy(self)
        places = self._trial_id_to_study_id_and_number
        other._trial_id_to_study_id_and_number = ChainMap({}, places)  # type: ignore[assignment]
        other._studies = {number: copy.copy(study) for number, study in self._studies.items()}
        for study in other._studies.values():
            study.trials = _Drafted(study.trials)  # type: ignore[assignment]
            study.param_distribution = dict(study.param_distribution)
        ends = {number: len(study.trials) for number, study in other._studies.items()}
        other._prev_waiting_trial_number = ends
        other._running = set(self._running)
        return other

    def begin(
        self, study_id: int, params: Params, distributions: Mapping[str, BaseDistribution]
    ) -> None:
        """Take in that a trial begins whose parameters are given.

        ``set_trial_param`` would copy the trial for each of them. Distributions that are equal are
        kept once for all trials.

        Args:
            study_id: of Optuna's.
            params: of the trial.
            distributions: what each of them was drawn from.

        Raises:
            ValueError: when a parameter has choices, and had a range before, or the like.
        """
        known = self._studies[study_id].param_distribution
        drawn: Params = {}
        drawn_from: dict[str, BaseDistribution] = {}
        for name, distribution in distributions.items():
            held = known.get(name, distribution)
            if held is not distribution:
                check_distribution_compatibility(held, distribution)
            drawn_from[name] = held if held == distribution else distribution
            value = distribution.to_internal_repr(params[name])
            drawn[name] = distribution.to_external_repr(value)
        known.update(drawn_from)
        trial_id = self.create_new_trial(study_id)
        trial = copy.copy(self.get_trial(trial_id))
        trial.params, trial.distributions = drawn, drawn_from
        self._set_trial(trial_id, trial)

    def forget(self, study_id: int, number: int) -> None:
        """Take in that a trial ended of which nobody will ask; only its number stays taken."""
        self._studies[study_id].trials[number] = _FORGOTTEN
        self._running.discard(number)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Take a trial in."""
        trial_id = super().create_new_trial(study_id, template_trial)
        trial = self.get_trial(trial_id)
        if trial.state == TrialState.RUNNING:
            self._running.add(trial.number)
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Take the end of a trial in, or that one which was queued begins."""
        is_set = super().set_trial_state_values(trial_id, state, values)
        number = self.get_trial_number_from_id(trial_id)
        (self._running.add if state == TrialState.RUNNING else self._running.discard)(number)
        if self._most is not None and state in (TrialState.COMPLETE, TrialState.PRUNED):
            trial = self.get_trial(trial_id)
            insort(self._ranked, (self._rank(trial), trial.number))
            insort(self._ended, trial.number)
        return is_set

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Take what a sampler notes of a trial in, but for what no journal holds.

        TPE notes what it would have proposed for parameters whose condition does not hold, and
        steers the next trials away from that; a history built again could not.
        """
        if not key.startswith("tpe:relative_params"):
            super().set_trial_system_attr(trial_id, key, value)

    def _rank(self, trial: FrozenTrial) -> tuple[int, int, float]:
        """TPE's order: completed trials by value, then pruned ones, later ones first."""
        if trial.state == TrialState.COMPLETE:
            assert trial.value is not None
            return 0, 0, self._metric.cost(trial.value)
        step, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
        return 1, -step, self._metric.cost(value)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials that are shown, in the order of their numbers."""
        is_part = self._most is not None and len(self._ended) > self._most
        if not is_part or states == (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        trials = self._studies[study_id].trials
        shown = [trials[number] for number in sorted({*self._running, *self._ended_shown()})]
        if states is not None:
            shown = [trial for trial in shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _ended_shown(self) -> set[int]:
        assert self._most is not None
        good = {number for _, number in self._ranked[:_GOOD]}
        count, places = len(self._ended), self._most - _GOOD
        return good.union(self._ended[count * place // places] for place in range(places))


class _Drafted(MutableSequence[FrozenTrial]):
    """A list of trials that is changed, and the list that it was made of is not."""

    def __init__(self, held: Sequence[FrozenTrial]) -> None:
        self._held = held
        self._own: dict[int, FrozenTrial] = {}
        self._count = len(held)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        places = range(self._count)[place]
        if isinstance(places, range):
            return [self[each] for each in places]
        return self._own[places] if places in self._own else self._held[places]

    def __setitem__(self, place: Any, trial: Any) -> None:
        self._own[range(self._count)[place]] = trial

    def insert(self, place: int, trial: FrozenTrial) -> None:
        if place != self._count:
            raise NotImplementedError("trials are added at the end")
        self._own[place] = trial
        self._count += 1

    def __delitem__(self, place: Any) -> None:
        raise NotImplementedError("trials are not removed")

    def __copy__(self) -> list[FrozenTrial]:
        trials = list(self._held)
        for place, trial in sorted(self._own.items()):
            trials[place : place + 1] = [trial]  # at the end that adds it
        return trials
