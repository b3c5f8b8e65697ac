"""Whether what matters early also matters late, on the same trials."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from analysis.display.numbers import fraction
from analysis.insight.adjusted import Interval
from analysis.insight.axes import Axis, Floats
from analysis.insight.evidence import ALPHA, Finding
from analysis.insight.importance import ImportanceStudy, half, scaled
from analysis.insight.observations import Observed, compared_epochs, observed_at
from analysis.record.trials import Trial
from spaces.experiment import Experiment
from spaces.seeds import derive_seed

FEWEST = 50  # configurations that have a value early and late
MOST = 250
_HALVES = 40
_SHUFFLES = 99  # the highest of so many is exceeded by chance in 1 of 100


def carried(
    experiment: Experiment, trials: Sequence[Trial], axes: Sequence[Axis], seed: int
) -> list[Finding]:
    """Findings on the PED-ANOVA shares at the first rung and at a late one.

    Late is the last compared epoch that 50 configurations reached. Both shares are of these same
    configurations, for survivors differ less in what made them survive, and few trials make all
    shares more alike. Being chosen by their early values, survivors show less of what mattered
    early; so that something matters more late is told only where its share is above that
    of the first rung over all trials, too.

    Args:
        experiment: of the run.
        trials: of the run.
        axes: the parameters.
        seed: of what is drawn.
    """
    first, *rest = compared_epochs(experiment)
    early = observed_at(experiment, trials, first)
    late = next(
        (o for e in reversed(rest) if _n(o := observed_at(experiment, trials, e)) >= FEWEST), None
    )
    if late is None:
        return []
    generator = np.random.default_rng(derive_seed(seed, "carried"))
    all_early = early.at(generator.permutation(len(early.rows))[:MOST].tolist())
    early, late = _same(early, late, generator)
    shares = None if len(late.rows) < FEWEST else _Shares(axes, early, late, generator, seed)
    if shares is None or not shares.names:
        return []
    study = ImportanceStudy(axes, all_early, seed)
    at_first = dict(
        zip(study.names, scaled(study.raw("ped-anova", all_early.goodness)), strict=True)
    )
    return _told(shares, at_first, early.epoch, late.epoch)


def _n(observed: Observed) -> int:
    return int(np.isfinite(observed.values).sum())


def _same(
    early: Observed, late: Observed, generator: np.random.Generator
) -> tuple[Observed, Observed]:
    """The configurations that have a value at both epochs, at most 400 of them, in one order."""
    early, late = early.finite(), late.finite()
    where = {number: place for place, number in enumerate(early.numbers)}
    both = [place for place, number in enumerate(late.numbers) if number in where]
    if len(both) > MOST:
        both = sorted(generator.choice(both, MOST, replace=False).tolist())
    return early.at([where[late.numbers[place]] for place in both]), late.at(both)


class _Shares:
    """The shares of the same configurations early and late, and how far they may be trusted."""

    def __init__(
        self,
        axes: Sequence[Axis],
        early: Observed,
        late: Observed,
        generator: np.random.Generator,
        seed: int,
    ) -> None:
        study = ImportanceStudy(axes, late, seed)
        self.names, self.n = study.names, len(late.rows)
        goods = (early.goodness, late.goodness)
        raw = [study.raw("ped-anova", good) for good in goods]
        self.early, self.late = map(scaled, raw)
        halves: list[tuple[Floats, Floats]] = []
        for _ in range(_HALVES):
            chosen = np.isfinite(half(goods[0], generator))
            drawn = [study.raw("ped-anova", np.where(chosen, good, np.nan)) for good in goods]
            halves.append((scaled(drawn[0]), scaled(drawn[1])))
        self._halves = np.array(halves)  # (halves, 2, parameters)
        self._study, self._goods, self._raw, self._generator = study, goods, raw, generator

    def is_real(self, when: int, place: int) -> bool:
        """Whether a parameter, early (0) or late (1), stands out more than any in 99 shuffles.

        Each is measured by what it reaches in shuffles on average: a range reaches more by chance
        than a choice does.
        """
        mean, most = self._by_chance[when]
        return bool(self._raw[when][place] > most * mean[place])

    @functools.cached_property
    def _by_chance(self) -> list[tuple[Floats, float]]:
        """Early and late: the mean of each parameter, and the most that any was above its own."""
        found = []
        for good in self._goods:
            shuffled = [
                self._study.raw("ped-anova", self._generator.permutation(good))
                for _ in range(_SHUFFLES)
            ]
            mean = np.maximum(np.mean(shuffled, axis=0), 1e-12)
            found.append((mean, float(np.max(np.array(shuffled) / mean))))
        return found

    def change(self, place: int, alpha: float) -> Interval:
        """By how much a parameter's share is greater late than early."""
        drawn = self._halves[:, 1, place] - self._halves[:, 0, place]
        return _interval(float(self.late[place] - self.early[place]), drawn, alpha)

    def lead(self, when: int, first: int, second: int, alpha: float) -> Interval:
        """By how much one share is above another, early (0) or late (1)."""
        shares = (self.early, self.late)[when]
        drawn = self._halves[:, when, first] - self._halves[:, when, second]
        return _interval(float(shares[first] - shares[second]), drawn, alpha)


def _interval(value: float, drawn: Floats, alpha: float) -> Interval:
    reach = float(ndtri(1 - alpha / 2) * np.std(drawn, ddof=1))
    return Interval(value, value - reach, value + reach)


def _told(
    shares: _Shares, at_first: dict[str, float], early_epoch: int, late_epoch: int
) -> list[Finding]:
    """The findings.

    Args:
        shares: of the same configurations.
        at_first: the shares over all trials at the first rung.
        early_epoch: of the first rung.
        late_epoch: the late one.
    """
    found = _lasting(shares, early_epoch, late_epoch)
    alpha = ALPHA / (2 * len(shares.names))
    for place, name in enumerate(shares.names):
        by = shares.change(place, alpha)
        matters_less = by.high < 0 and shares.is_real(0, place)
        is_above_all = shares.late[place] > at_first[name]
        matters_more = by.low > 0 and is_above_all and shares.is_real(1, place)
        if matters_less or matters_more:
            early, late = fraction(shares.early[place]), fraction(shares.late[place])
            change, low, high = map(fraction, by)
            sentence = (
                f"{name} matters {'less' if matters_less else 'more'} late: its share is "
                f"{early} at epoch {early_epoch} and {late} at epoch {late_epoch}, among the same "
                f"{shares.n} configurations (a change of {change}, {low} to {high})"
            )
            figure = "share at the later epoch minus share at the earlier"
            found.append(
                Finding("rungs", sentence, (name,), late_epoch, shares.n, figure, *by, alpha)
            )
    return found


def _lasting(shares: _Shares, early_epoch: int, late_epoch: int) -> list[Finding]:
    """One finding where the same parameter stands first at both epochs, with a clear lead."""
    if len(shares.names) < 2:
        return []
    alpha = ALPHA / 2
    top = int(np.argmax(shares.early))
    orders = [np.argsort(-share) for share in (shares.early, shares.late)]
    if orders[1][0] != top:
        return []
    leads = [shares.lead(when, top, int(orders[when][1]), alpha) for when in (0, 1)]
    weaker = min(leads, key=lambda lead: lead.low)
    if weaker.low <= 0 or not (shares.is_real(0, top) and shares.is_real(1, top)):
        return []
    name = shares.names[top]
    sentence = (
        f"{name} matters most, early and late: its share is {fraction(shares.early[top])} at epoch "
        f"{early_epoch} and {fraction(shares.late[top])} at epoch {late_epoch}, among the same "
        f"{shares.n} configurations (at least {fraction(weaker.value)} above the next, "
        f"{fraction(weaker.low)} to {fraction(weaker.high)})"
    )
    figure = "share minus that of the next parameter"
    return [Finding("rungs", sentence, (name,), late_epoch, shares.n, figure, *weaker, alpha)]
