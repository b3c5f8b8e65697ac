"""The contenders: Shoal, and its rivals by their own code, each driven by the simulated cluster."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from ray.tune.schedulers.async_hyperband import _Bracket

from analysis.record.events import Started
from analysis.record.journal import Journal
from benchmarks.efficiency.cluster import Contender, Job
from benchmarks.efficiency.landscape import Landscape
from benchmarks.efficiency.syne import SyneTune
from search.control.coordinator import Coordinator
from spaces.checks import parse_experiment
from spaces.parameters import Params
from spaces.seeds import derive_seed

Make = Callable[[Landscape, int, int], Contender]  # of a landscape, a seed, and the epochs in all


class Shoal(Contender):
    """The real coordinator with its rules, its sampler and its journal.

    Args:
        landscape: what is searched.
        seed: of the search.
        budget: how many epochs there will be.
        changes: sections of the experiment.
    """

    def __init__(self, landscape: Landscape, seed: int, budget: int, **changes: Any) -> None:
        plain = landscape.experiment.plain()
        scheduler = {"max_epochs": landscape.epochs, **changes.pop("scheduler", {})}
        given = {"seed": seed, "scheduler": scheduler, "budget": {"epochs": budget}}
        experiment = parse_experiment({**plain, **given, **changes})
        self._folder = Path(tempfile.mkdtemp(prefix="efficiency-"))
        self._metric = experiment.metric
        self._coordinator = Coordinator(experiment, Journal(self._folder / "journal.jsonl"))
        self._coordinator.start(Started(spec=experiment.plain(), versions={}, host="simulated"))

    def ask(self) -> Job | None:
        trial = self._coordinator.next_trial()
        return None if trial is None else Job(trial.number, trial.params, trial.epoch)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        decision = self._coordinator.report(trial, epoch, {self._metric.name: value})
        return decision == "continue"

    def chosen(self) -> Params:
        best = self._coordinator.trials.best(self._metric)
        assert best is not None
        return best.params

    def close(self) -> None:
        self._coordinator.journal.close()
        shutil.rmtree(self._folder)


class OptunaAlone(Contender):
    """Optuna's ask, report, should_prune and tell; the best is that of the study.

    Args:
        landscape: what is searched.
        seed: of the search.
        sampler: proposes.
        pruner: stops.
    """

    def __init__(
        self,
        landscape: Landscape,
        seed: int,
        sampler: optuna.samplers.BaseSampler,
        pruner: optuna.pruners.BasePruner,
    ) -> None:
        self._space, self._epochs = landscape.experiment.search_space, landscape.epochs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study = optuna.create_study(
                study_name=f"seed {seed}",  # from which Hyperband draws a trial's bracket
                direction="maximize",
                sampler=sampler,
                pruner=pruner,
            )
        self._trials: dict[int, optuna.Trial] = {}
        self._last: dict[int, tuple[int, float]] = {}  # by trial: epoch and value

    def ask(self) -> Job | None:
        trial = self.study.ask()
        params = self._space.suggest(trial)
        self._trials[trial.number] = trial
        return Job(trial.number, params)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        self._last[trial] = epoch, value
        asked = self._trials[trial]
        asked.report(value, epoch)
        if epoch < self._epochs and not self.goes_on(asked, epoch, value):
            return self.stop(asked, value)
        if epoch == self._epochs:
            self.study.tell(asked, value)
        return True

    def goes_on(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        """Whether a trial is not stopped."""
        return not trial.should_prune()

    def stop(self, trial: optuna.Trial, value: float) -> bool:
        """Tell the study that a trial was stopped."""
        self.study.tell(trial, state=TrialState.PRUNED)
        return False

    def chosen(self) -> Params:
        """As ``study.best_trial``; before a trial is complete, the highest last value of any."""
        ended = self.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if ended:
            return max(ended, key=lambda trial: trial.value or 0.0).params
        return self._highest()

    def _highest(self) -> Params:
        number = max(self._last, key=lambda n: self._last[n][1])
        return self.study.trials[number].params


class StockRay(OptunaAlone):
    """Ray's OptunaSearch with ASHAScheduler (factor 3): a stopped trial is told as complete."""

    def __init__(self, landscape: Landscape, seed: int, budget: int) -> None:
        sampler = optuna.samplers.TPESampler(seed=seed)
        super().__init__(landscape, seed, sampler, optuna.pruners.NopPruner())
        self._rule = _Bracket(min_t=1, max_t=landscape.epochs, reduction_factor=3, s=0)

    def goes_on(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        return self._rule.on_result(_Named(str(trial.number)), epoch, value) == "CONTINUE"

    def stop(self, trial: optuna.Trial, value: float) -> bool:
        self.study.tell(trial, value)
        return False

    def chosen(self) -> Params:
        """The highest last value of any trial, as ``ResultGrid.get_best_result`` means it."""
        return self._highest()


class _Named:
    """What ASHA asks of a trial: its id."""

    def __init__(self, name: str) -> None:
        self.trial_id = name


class OneEpoch(Contender):
    """All for one epoch at random, the best three to the end; it knows its budget (2404.04111)."""

    FINALISTS = 3

    def __init__(self, landscape: Landscape, seed: int, budget: int) -> None:
        self._space, self._seed = landscape.experiment.search_space, seed
        self._epochs = landscape.epochs
        self._wide = budget - self.FINALISTS * (self._epochs - 1)
        self._params: list[Params] = []
        self._values: dict[int, list[float]] = {}
        self._finalists: list[int] | None = None

    def ask(self) -> Job | None:
        if len(self._params) < self._wide:
            number = len(self._params)
            self._params += self._space.samples(1, derive_seed(self._seed, "random", number))
            return Job(number, self._params[-1])
        if len(self._values) < self._wide:
            return None  # some are in their first epoch
        if self._finalists is None:
            ranked = sorted(self._values, key=lambda n: -self._values[n][0])
            self._finalists = ranked[: self.FINALISTS]
            self._waiting = list(self._finalists)
        if not self._waiting:
            return None
        number = self._waiting.pop(0)
        return Job(number, self._params[number], 1)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        self._values.setdefault(trial, []).append(value)
        return self._finalists is not None

    def chosen(self) -> Params:
        number = max(self._values, key=lambda n: (len(self._values[n]), self._values[n][-1]))
        return self._params[number]


def _shoal(sampler: str, scheduler: str) -> Make:
    return lambda *given: Shoal(*given, sampler={"name": sampler}, scheduler={"name": scheduler})


def _optuna(sampler: str, pruner: str) -> Make:
    def make(landscape: Landscape, seed: int, budget: int) -> Contender:
        samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
            "cmaes": lambda: optuna.samplers.CmaEsSampler(
                seed=seed, warn_independent_sampling=False
            ),
            "gp": lambda: optuna.samplers.GPSampler(seed=seed),
        }
        pruners: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
            "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(1, landscape.epochs, 3),
        }
        return OptunaAlone(landscape, seed, samplers[sampler](), pruners[pruner]())

    return make


CONTENDERS: dict[str, Make] = {
    "shoal": Shoal,
    "shoal-tpe-asha": _shoal("tpe", "asha"),  # the default before
    "random-asha": _shoal("random", "asha"),
    "ray": StockRay,
    "one-epoch": OneEpoch,
    "optuna-tpe-hyperband": _optuna("tpe", "hyperband"),
    # not on the page yet
    "shoal-curves-asha": _shoal("curves", "asha"),
    "shoal-random-freeze-thaw": _shoal("random", "freeze_thaw"),
    "random": _shoal("random", "none"),
    "optuna-tpe-halving": _optuna("tpe", "halving"),
    "optuna-cmaes-hyperband": _optuna("cmaes", "hyperband"),
    "optuna-gp-hyperband": _optuna("gp", "hyperband"),
}
if find_spec("syne_tune"):
    CONTENDERS["syne-asha"] = lambda landscape, seed, _: SyneTune("ASHA", landscape, seed)
    CONTENDERS["syne-bohb"] = lambda landscape, seed, _: SyneTune("BOHB", landscape, seed)
SHOWN = list(CONTENDERS)[:6]
KNOW_THE_BUDGET = ("one-epoch",)
