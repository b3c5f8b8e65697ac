"""Optuna behind three words: propose, begin, tell."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from analysis.record.events import Created, State
from analysis.record.trials import Trial
from search.control.tpe_storage import History
from search.surrogate.surrogate import Surrogate
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.problems import InputError, RunError
from spaces.seeds import derive_seed

_MOST_SHOWN = 2000  # to TPE, whose time grows with every trial that it looks at
_BLIND = ("curves", "random")  # what Optuna draws for them follows from the trial's number alone


class Proposal(NamedTuple):
    """Parameters; what a space that is a function drew each of them from, and what it returned."""

    params: Params
    distributions: dict[str, BaseDistribution] | None
    settings: dict[str, Any]


class Sampler:
    """Proposes configurations; a proposal is a function of (seed, trial number, what was told).

    Each proposal is made by a sampler built anew, with a seed of its own: one that lived on would,
    once rebuilt after a crash, propose again what it proposed before. The study is in memory only,
    so an ``ask`` that dies leaves nothing behind. Beyond 2,000 ended trials TPE is shown a part of
    them, see ``History``.

    Args:
        experiment: gives space, sampler, seed, direction and baseline.
        surrogate: proposes for the sampler curves.
    """

    def __init__(self, experiment: Experiment, surrogate: Surrogate | None = None) -> None:
        self._experiment = experiment
        self._surrogate = surrogate
        self._name = experiment.sampler.name
        self._metric = experiment.metric
        self._storage = History(self._metric, _MOST_SHOWN if self._name == "tpe" else None)
        optuna.create_study(
            storage=self._storage,
            study_name=experiment.name,
            direction="minimize" if self._metric.is_minimized else "maximize",
        )
        self._study_id = self._storage.get_study_id_from_name(experiment.name)
        self._asked: set[tuple[tuple[str, Any], ...]] = set()  # of a grid
        self._latest = Proposal({}, None, {})  # what began last, which repeats try again

    def propose(self, number: int) -> Proposal | None:
        """The configuration of a new trial; nothing is changed until ``begin`` is told of it.

        Args:
            number: the trial's, the next one.

        Returns:
            None when a grid has none left. With ``repeats`` so many trials in a row have the same
            parameters.
        """
        if number % self._experiment.repeats:
            return self._latest
        if (proposal := self._from_curves(number)) is not None:
            return proposal
        proposal = self._ask(number, self._storage.draft())
        return None if _key(proposal.params) in self._asked else proposal

    def _from_curves(self, number: int) -> Proposal | None:
        """What the surrogate proposes; None where something shall be drawn."""
        if self._surrogate is None or self._name != "curves" or number < self._experiment.repeats:
            return None
        params = self._surrogate.propose(number)
        if params is None:
            return None
        space = self._experiment.search_space
        drawn_from = space.distributions_of(params) if space.is_function else None
        return Proposal(params, drawn_from, space.returned_for(params))

    def _ask(self, number: int, storage: History) -> Proposal:
        """Let Optuna begin a trial in a storage."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study = optuna.load_study(
                study_name=self._experiment.name, storage=storage, sampler=self._new_sampler(number)
            )
            if number == 0 and self._experiment.baseline is not None:
                study.enqueue_trial(self._experiment.baseline)
            trial = study.ask()
            assert trial.number == number
            space = self._experiment.search_space
            params, settings = space.draw(trial)
        return Proposal(params, trial.distributions if space.is_function else None, settings)

    def tell(self, trial: Trial, worst: float) -> None:
        """Take the end of a trial in.

        stopped is PRUNED with its last value (with ``metric.scope: best`` the best so far), which
        is all that a sampler looks at; diverged is PRUNED with one value, ``worst``, at epoch 0, so
        that a sampler ranks it behind all others; failed is FAIL. The Gaussian process looks at
        COMPLETE trials only: for it, stopped and diverged ones are that. A sampler that looks at
        none is told only that the trial ended.

        Args:
            trial: how it ended.
            worst: the worst finite value of the run so far.
        """
        if self._name in _BLIND:
            self._storage.forget(self._study_id, trial.number)
            return
        last = (0, worst) if trial.state == "diverged" else self._last_value(trial)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            self._study_id, trial.number
        )
        values = None
        if last is not None:
            self._storage.set_trial_intermediate_value(trial_id, *last)
            values = [last[1]] if trial.state != "failed" else None
        state = self._optuna_state(trial.state)
        if values is None and state is TrialState.COMPLETE:  # only an edited journal has such
            state = TrialState.FAIL
        self._storage.set_trial_state_values(trial_id, state, values)

    def _last_value(self, trial: Trial) -> tuple[int, float] | None:
        """(epoch, value) of the last report whose value is finite."""
        finite = [report for report in trial.reports if math.isfinite(self._metric.of(report))]
        counting = self._metric.counting(finite)
        return None if counting is None else (finite[-1].epoch, self._metric.of(counting))

    def begin(self, created: Created) -> None:
        """Take in that a trial begins, in the journal's order.

        Two samplers keep a state in the study, which comes about by proposing: CMA-ES its
        distribution (as a pickle, which we never read from a file), quasi-Monte Carlo its place in
        the sequence.
        """
        number, params = created.trial, created.params
        is_repeat = number % self._experiment.repeats > 0
        self._latest = Proposal(params, created.distributions, created.settings)
        if self._name == "grid":
            self._asked.add(_key(params))
        if self._name in ("cmaes", "qmc") and not is_repeat:
            if self._ask(number, self._storage).params != params:
                warnings.warn(
                    f"{self._name} proposes trial {number} otherwise than the journal says; "
                    "was it written with another version?",
                    stacklevel=2,
                )
            return
        space = self._experiment.search_space
        try:
            drawn_from = created.distributions or space.distributions_of(params)
            self._storage.begin(self._study_id, params, drawn_from)
        except (ValueError, RunError) as error:  # Optuna takes no choice where there was a range
            raise InputError(f"trial {number}: {error}") from None

    def _optuna_state(self, state: State) -> TrialState:
        if state == "failed":
            return TrialState.FAIL
        is_complete = state == "completed" or self._name == "gp"
        return TrialState.COMPLETE if is_complete else TrialState.PRUNED

    def _new_sampler(self, number: int) -> BaseSampler:
        seed = derive_seed(self._experiment.seed, "propose", number)
        independent = optuna.samplers.RandomSampler(seed=seed)
        match self._name:
            case "tpe":
                return optuna.samplers.TPESampler(
                    seed=seed, multivariate=True, group=True, constant_liar=True
                )
            case "gp":
                return optuna.samplers.GPSampler(
                    seed=seed, independent_sampler=independent, warn_independent_sampling=False
                )
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed,
                    independent_sampler=independent,
                    warn_independent_sampling=False,
                    consider_pruned_trials=True,
                )
            case "curves" | "random":
                return independent
            case "grid":
                return optuna.samplers.BruteForceSampler(seed=seed)
            case "qmc":
                return optuna.samplers.QMCSampler(
                    scramble=True,
                    seed=self._experiment.seed,
                    independent_sampler=independent,
                    warn_independent_sampling=False,
                )


def _key(params: Params) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, repr(value)) for name, value in params.items()))
