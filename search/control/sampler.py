"""Optuna behind three words: ask, tell, and restore from the journal."""

from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from analysis.record.events import State
from analysis.record.trials import Trial
from search.control.tpe_storage import History
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.problems import InputError
from spaces.seeds import derive_seed

_MOST_SHOWN = 2000  # to TPE, whose time grows with every trial that it looks at


class Sampler:
    """Proposes configurations; a proposal is a function of (seed, trial number, what was told).

    Each proposal is made by a sampler built anew, with a seed of its own: one that lived on would,
    once rebuilt after a crash, propose again what it proposed before. The study is in memory only,
    so an ``ask`` that dies leaves nothing behind. Beyond 2,000 ended trials TPE is shown a part of
    them, see ``History``.

    Args:
        experiment: gives space, sampler, seed, direction and baseline.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._name = experiment.sampler.name
        self._metric = experiment.metric
        self._storage = History(self._metric, _MOST_SHOWN if self._name == "tpe" else None)
        self._idle = optuna.samplers.RandomSampler(seed=0)  # told trials need no sampler
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=experiment.name,
            sampler=self._idle,
            direction="minimize" if self._metric.mode == "min" else "maximize",
        )
        self._study_id = self._storage.get_study_id_from_name(experiment.name)
        self._asked: set[tuple[tuple[str, Any], ...]] = set()
        self._latest: Params = {}  # what was proposed last, which repeats try again

    def ask(self, number: int) -> Params | None:
        """Propose the configuration of a new trial.

        Args:
            number: the trial's; each is asked for once, in ascending order.

        Returns:
            The parameters, or None when a grid has none left. With ``repeats`` so many trials in a
            row have the same.
        """
        if number % self._experiment.repeats:
            self._add(self._latest)
            return self._latest
        if number == 0 and self._experiment.baseline is not None:
            self._study.enqueue_trial(self._experiment.baseline)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._study.sampler = self._new_sampler(number)
            trial = self._study.ask()
            assert trial.number == number
            params = self._experiment.search_space.suggest(trial)
        self._study.sampler = self._idle
        self._latest = params
        is_new = self._remember(params)
        return params if is_new or self._name != "grid" else None

    def tell(self, trial: Trial, worst: float) -> None:
        """Take the end of a trial in.

        stopped is PRUNED with its last value (with ``metric.scope: best`` the best so far), which
        is all that a sampler looks at; diverged is PRUNED with one value, ``worst``, at epoch 0, so
        that a sampler ranks it behind all others; failed is FAIL. The Gaussian process looks at
        COMPLETE trials only: for it, stopped and diverged ones are that.

        Args:
            trial: how it ended.
            worst: the worst finite value of the run so far.
        """
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
        values = ((report.epoch, report.metrics[self._metric.name]) for report in trial.reports)
        finite = [(epoch, value) for epoch, value in values if math.isfinite(value)]
        if not finite or self._metric.scope == "last":
            return finite[-1] if finite else None
        best = min if self._metric.mode == "min" else max
        return finite[-1][0], best(value for _, value in finite)

    def drawn_from(self, number: int) -> dict[str, BaseDistribution] | None:
        """What a function drew a trial's parameters from; None where the file says it."""
        if not isinstance(self._experiment.space, str):
            return None
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        return self._storage.get_trial(trial_id).distributions

    def restore(
        self,
        number: int,
        params: Params,
        distributions: dict[str, BaseDistribution] | None = None,
    ) -> None:
        """Take in that this trial was proposed before; restores come in the journal's order.

        Two samplers keep a state in the study, which is brought back by proposing again: CMA-ES
        its distribution (as a pickle, which we never read from a file), quasi-Monte Carlo its
        place in the sequence.
        """
        is_repeat = number % self._experiment.repeats > 0
        if self._name in ("cmaes", "qmc") and not is_repeat:
            proposed, self._latest = self.ask(number), params
            if proposed != params:
                warnings.warn(
                    f"{self._name} proposes trial {number} otherwise than the journal says; "
                    "was it written with another version?",
                    stacklevel=2,
                )
            return
        self._latest = params
        self._remember(params)
        try:
            self._add(params, distributions)
        except ValueError as error:  # Optuna takes no choice where there was a range before
            raise InputError(f"trial {number}: {error}") from None

    def _add(self, params: Params, drawn_from: dict[str, BaseDistribution] | None = None) -> None:
        """Add a trial to the study whose parameters are given."""
        distributions = drawn_from or self._experiment.search_space.distributions_of(params)
        trial_id = self._storage.create_new_trial(self._study_id)
        for name, distribution in distributions.items():
            value = distribution.to_internal_repr(params[name])
            self._storage.set_trial_param(trial_id, name, value, distribution)

    def _remember(self, params: Params) -> bool:
        key = tuple(sorted((name, repr(value)) for name, value in params.items()))
        is_new = key not in self._asked
        self._asked.add(key)
        return is_new

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
            case "random":
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
