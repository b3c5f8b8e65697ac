"""Which parameters mattered, at each rung, over all trials that reached it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import create_trial

from analysis.insight.axes import Axis, Floats, axes_of
from analysis.insight.observations import Observed, compared_epochs, observed_at
from analysis.insight.screening import screened
from analysis.record.trials import Trials
from spaces.experiment import Experiment
from spaces.seeds import derive_seed

FEWEST_TRIALS = 10
_TOP = 0.1  # PED-ANOVA asks what the best tenth has that the rest has not;
_FEWEST_TOP = 10  # and at least so many, but no more than half
_TREES = 8
_DEPTH = 6
_SHUFFLES = 19  # the highest of so many is exceeded by chance in 1 of 20
_INTERVAL = (2.5, 97.5)  # percent

Evaluator: TypeAlias = Literal["ped-anova", "fanova"]
EVALUATORS: tuple[Evaluator, ...] = ("ped-anova", "fanova")
MOST_ROWS: dict[Evaluator, int] = {"ped-anova": 800, "fanova": 256}  # the second is slower


@dataclass(frozen=True)
class Share:
    """The share of one parameter in what all parameters explain; the shares of all sum to 1.

    Args:
        value: the share.
        low, high: its 95 % interval.
        chance: what the parameter would reach without any effect, in 1 of 20 cases: the most in 19
            shuffles of the values. None for fANOVA: its shares are of what its trees say, and
            trees say as much of shuffled values.
        trials: in how many configurations the parameter applies.
    """

    value: float
    low: float
    high: float
    chance: float | None
    trials: int


@dataclass(frozen=True)
class RungImportance:
    """The importances at one epoch.

    Args:
        epoch: at which the trials are compared.
        trials: counted: all that reached it, the early-stopped too, and those that diverged.
        diverged: how many of them had diverged; they rank worst, all alike.
        shares: by evaluator, then by parameter, the greatest first; empty where there are none.
        note: what was left out, or why there are no figures.
    """

    epoch: int
    trials: int
    diverged: int
    shares: dict[Evaluator, dict[str, Share]]
    note: str = ""


class ImportanceStudy:
    """Optuna's evaluators on studies of the same rows; the values are given with each call.

    Both evaluators see ranks, so that one wild loss does not drown the rest. PED-ANOVA gets the
    space as it is, with the parameters that do not always apply (arXiv 2601.20800). For fANOVA
    every parameter is a range: of log10 where it is log (else nearly all the weight lies on the
    top decade), and of equal widths for choices. It knows no conditions; where a parameter does not
    apply it is drawn at random, for there it does nothing.

    Args:
        axes: the parameters.
        observed: the rows.
        seed: of the draws and of the trees.
    """

    def __init__(self, axes: Sequence[Axis], observed: Observed, seed: int) -> None:
        self._axes = [axis for axis in axes if not _is_single(axis, observed)]
        self.names = [axis.name for axis in self._axes]
        self._rows = observed.rows
        self._seed = seed

    @functools.cached_property
    def _plain(self) -> optuna.Study:
        by_name: dict[str, BaseDistribution] = {a.name: a.distribution for a in self._axes}
        study = _new_study()
        for row in self._rows:
            params = {name: row[name] for name in self.names if name in row}
            held = {name: by_name[name] for name in params}
            study.add_trial(create_trial(value=0.0, params=params, distributions=held))
        for trial in study.get_trials(deepcopy=False):  # the evaluator compares them all the time,
            trial.distributions = {name: by_name[name] for name in trial.params}  # fast where same
        return study

    @functools.cached_property
    def _ranges(self) -> optuna.Study:
        generator = np.random.default_rng(self._seed)
        bounds = {axis.name: axis.bounds for axis in self._axes}
        ranges = {name: FloatDistribution(*bounds[name]) for name in self.names}
        columns = {}
        for axis in self._axes:
            places = axis.places(self._rows)
            if axis.choices is not None:
                anywhere = generator.integers(0, len(axis.choices), len(places)).astype(float)
            else:
                anywhere = generator.uniform(*axis.bounds, len(places))
            columns[axis.name] = np.where(np.isnan(places), anywhere, places).clip(*axis.bounds)
        study = _new_study()
        for number in range(len(self._rows)):
            params = {name: float(columns[name][number]) for name in self.names}
            study.add_trial(create_trial(value=0.0, params=params, distributions=dict(ranges)))
        return study

    def raw(self, evaluator: Evaluator, scores: Floats) -> Floats:
        """The importances, not scaled, in the order of ``names``; zeros where nothing differs.

        Args:
            evaluator: whose.
            scores: of each row, more is better; NaN leaves a row out; (rows,).
        """
        from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

        counted = scores[np.isfinite(scores)]
        if len(counted) < 2 or np.ptp(counted) == 0 or not self.names:
            return np.zeros(len(self.names))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of small regimes, and that low targets are good
            if evaluator == "ped-anova":
                top = max(_TOP, min(0.5, _FEWEST_TOP / len(counted)))
                ped = PedAnovaImportanceEvaluator(target_quantile=top)
                found = ped.evaluate(self._plain, target=lambda trial: -scores[trial.number])
            else:
                fanova = FanovaImportanceEvaluator(
                    n_trees=_TREES, max_depth=_DEPTH, seed=self._seed
                )
                try:
                    found = fanova.evaluate(self._ranges, target=lambda trial: scores[trial.number])
                except RuntimeError:  # no tree found anything to cut
                    found = {}
        return np.array([found.get(name, 0.0) for name in self.names], dtype=np.float64)


def _is_single(axis: Axis, observed: Observed) -> bool:
    return axis.distribution.single() or not any(axis.name in row for row in observed.rows)


def _new_study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def rung_importance(
    experiment: Experiment, trials: Trials, resamples: int = 30, seed: int = 0
) -> list[RungImportance]:
    """The importance of each parameter at each rung and at the last epoch.

    The intervals come from halves of the configurations, drawn without replacement: their spread
    is that of the whole sample (Shao and Wu 1989, doi 10.1214/aos/1176347263), and no
    configuration stands twice, which a density and a tree would take for a discovery. The
    percentiles of the halves are moved to the value from all, for half a sample errs more towards
    equal shares. At a later rung the importance is that among the survivors of the earlier.

    Args:
        experiment: of the run.
        trials: of the run.
        resamples: halves for PED-ANOVA, at least 1; fANOVA, which is slower, gets half as many.
        seed: of all that is drawn.

    Returns:
        An entry for each epoch, also where there are too few trials; its note says so.

    Raises:
        InputError: when the space is a function of the user's that can't be loaded.
    """
    axes = axes_of(experiment, list(trials))
    return [
        _importance(axes, observed_at(experiment, trials, epoch), resamples, seed)
        for epoch in compared_epochs(experiment)
    ]


def _importance(
    axes: Sequence[Axis], observed: Observed, resamples: int, seed: int
) -> RungImportance:
    reason = _why_none(axes, observed)
    if reason:
        return RungImportance(observed.epoch, observed.trials, observed.diverged, {}, reason)
    notes = _notes(axes, observed)
    varying = [axis for axis in axes if not _is_single(axis, observed)]
    axes = screened(varying, observed)
    if len(axes) < len(varying):
        kept = f"{len(axes)} of {len(varying)} parameters are looked at"
        notes.append(f"{kept}, those whose values go most with the metric")
    shares: dict[Evaluator, dict[str, Share]] = {}
    for evaluator in EVALUATORS:
        most = MOST_ROWS[evaluator]
        generator = np.random.default_rng(derive_seed(seed, evaluator, observed.epoch))
        looked_at = observed
        if len(observed.rows) > most:
            chosen = generator.choice(len(observed.rows), most, replace=False)
            looked_at = observed.at(sorted(chosen.tolist()))
            notes.append(f"{evaluator}: {most} of {len(observed.rows)}, drawn at random")
        study = ImportanceStudy(axes, looked_at, seed)
        halves = resamples if evaluator == "ped-anova" else (resamples + 1) // 2
        shares[evaluator] = _shares(study, evaluator, looked_at, halves, generator)
    if not any(share.low > (share.chance or 0.0) for share in shares["ped-anova"].values()):
        notes.append("no interval of ped-anova lies above chance")
    note = "; ".join(notes)
    return RungImportance(observed.epoch, observed.trials, observed.diverged, shares, note)


def _why_none(axes: Sequence[Axis], observed: Observed) -> str:
    if len(observed.rows) < FEWEST_TRIALS:
        found = f"{len(observed.rows)} configurations"
        return f"{found} are too few for an importance; it needs {FEWEST_TRIALS}"
    if np.isnan(observed.values).all():
        return "all trials diverged"
    if np.ptp(observed.ranks) == 0:
        return "all trials have the same value"
    if all(_is_single(axis, observed) for axis in axes):
        return "no parameter varies"
    return ""


def _notes(axes: Sequence[Axis], observed: Observed) -> list[str]:
    notes = []
    if observed.diverged:
        notes.append(f"{observed.diverged} diverged trials rank worst")
    if len(observed.rows) < observed.trials:
        notes.append(f"the mean of each of {len(observed.rows)} configurations counts once")
    for axis in axes:
        there = sum(axis.name in row for row in observed.rows)
        if 0 < there < len(observed.rows):
            notes.append(f"{axis.name} applies in {there} of {len(observed.rows)}")
    return notes


def _shares(
    study: ImportanceStudy,
    evaluator: Evaluator,
    observed: Observed,
    resamples: int,
    generator: np.random.Generator,
) -> dict[str, Share]:
    scores = observed.ranks
    raw = study.raw(evaluator, scores)
    whole = raw.sum() or 1.0
    halves = np.array(
        [_scaled(study.raw(evaluator, _half(scores, generator))) for _ in range(resamples)]
    )  # (resamples, parameters)
    shuffles = _SHUFFLES if evaluator == "ped-anova" else 0
    by_chance = [
        study.raw(evaluator, generator.permutation(scores)) / whole for _ in range(shuffles)
    ]
    shares = {}
    for place, name in enumerate(study.names):
        value = float(raw[place] / whole)
        column = halves[:, place] - halves[:, place].mean() + value
        low, high = np.percentile(column, _INTERVAL).clip(0.0, 1.0)
        there = sum(name in row for row in observed.rows)
        chance = max((min(float(raw[place]), 1.0) for raw in by_chance), default=None)
        shares[name] = Share(value, min(float(low), value), max(float(high), value), chance, there)
    return dict(sorted(shares.items(), key=lambda item: -item[1].value))


def _scaled(raw: Floats) -> Floats:
    """Importances as shares that sum to 1; equal shares where there is nothing to share."""
    whole = raw.sum()
    return raw / whole if whole > 0 else np.full(len(raw), 1.0 / max(len(raw), 1))


def _half(scores: Floats, generator: np.random.Generator) -> Floats:
    """The same for a random half of the rows, NaN for the others."""
    left_out = generator.choice(len(scores), len(scores) // 2, replace=False)
    kept = scores.copy()
    kept[left_out] = np.nan
    return kept
