"""Where in the space trials diverged or failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.display.numbers import number
from analysis.insight.axes import Axis, Bools, axes_of, levels_of
from analysis.insight.evidence import ALPHA, Finding
from analysis.record.trials import Trial, Trials
from analysis.stats.intervals import FEWEST_DRAWN, newcombe, wilson
from spaces.experiment import Experiment

FEWEST = 3  # fewer are no pattern
_ALPHA = 0.05  # of the intervals that are drawn
_CUTS = 39  # of a range, at equal numbers of values
_FAMILIES = 4  # diverged and failed, each in two steps


@dataclass(frozen=True)
class FailureShare:
    """How many trials at one level diverged or failed, with Wilson's 95 % interval of the share.

    Args:
        label: the choice, or ``0.001 to 0.01``.
        bounds: of a bin, in the parameter's unit; None for a choice.
        count: how many of them diverged or failed.
        n: ended trials and those that run, all that are known.
        share: None where there is no trial.
        low, high: None where there are fewer than five.
    """

    label: str
    bounds: tuple[float, float] | None
    count: int
    n: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FailuresBy:
    """The trials that diverged or failed by the levels of one parameter."""

    parameter: str
    is_log: bool
    levels: list[FailureShare]


@dataclass(frozen=True)
class Failures:
    """What became of the trials that have no value.

    Args:
        trials: that are known.
        diverged, failed: how many did.
        diverged_by: where trials diverged; empty where none did.
        failed_by: where trials failed; empty where none did.
        findings: sentences that Fisher's exact test supports.
    """

    trials: int
    diverged: int
    failed: int
    diverged_by: list[FailuresBy]
    failed_by: list[FailuresBy]
    findings: list[Finding]


def explain_failures(experiment: Experiment, trials: Trials) -> Failures:
    """Where trials diverged or failed.

    Args:
        experiment: of the run.
        trials: of the run.

    Raises:
        InputError: when the space is a function of the user's that can't be loaded.
    """
    known = [trial for trial in trials if trial.reports or trial.state != "running"]
    axes = [axis for axis in axes_of(experiment, known) if not axis.distribution.single()]
    diverged, failed = (
        np.array([trial.state == state for trial in known], dtype=np.bool_)
        for state in ("diverged", "failed")
    )
    return Failures(
        len(known),
        int(diverged.sum()),
        int(failed.sum()),
        _by_parameter(axes, known, diverged),
        _by_parameter(axes, known, failed),
        [
            *_findings(axes, known, diverged, "diverged"),
            *_findings(axes, known, failed, "failed"),
        ],
    )


def _by_parameter(
    axes: Sequence[Axis], known: Sequence[Trial], has_failed: Bools
) -> list[FailuresBy]:
    if not has_failed.any():
        return []
    rows = [trial.params for trial in known]
    tables = []
    for axis in axes:
        levels = levels_of(axis, rows)
        shares = []
        for code, label in enumerate(levels.labels):
            held = has_failed[levels.codes == code]
            bounds = (levels.bounds[code], levels.bounds[code + 1]) if levels.bounds else None
            shares.append(_share(label, bounds, int(held.sum()), len(held)))
        tables.append(FailuresBy(axis.name, axis.is_log, shares))
    return tables


def _share(label: str, bounds: tuple[float, float] | None, count: int, n: int) -> FailureShare:
    if n < FEWEST_DRAWN:
        return FailureShare(label, bounds, count, n, count / n if n else None, None, None)
    return FailureShare(label, bounds, count, n, *wilson(count, n, _ALPHA))


@dataclass(frozen=True)
class _Region:
    """A part of the space: ``where`` it is, in words, ``elsewhere`` the rest of its axis."""

    parameter: str
    where: str
    elsewhere: str
    is_inside: Bools  # (trials,)
    applies: Bools  # (trials,)


def _findings(
    axes: Sequence[Axis], known: Sequence[Trial], has_failed: Bools, verb: str
) -> list[Finding]:
    """The region where most fail, and then the part of it where most do.

    The second is looked for inside the first only, so that no parameter is blamed for the company
    it kept.
    """
    first = _worst([r for axis in axes for r in _regions(axis, known)], has_failed)
    if first is None:
        return []
    region, finding = _finding(*first, has_failed, verb, "trials")
    inside = [trial for trial, held in zip(known, region.is_inside, strict=True) if held]
    failed_inside = has_failed[region.is_inside]
    others = [axis for axis in axes if axis.name != region.parameter]
    second = _worst([r for axis in others for r in _regions(axis, inside)], failed_inside)
    if second is None:
        return [finding]
    within = f"trials with {region.where}"
    return [finding, _finding(*second, failed_inside, verb, within)[1]]


def _regions(axis: Axis, known: Sequence[Trial]) -> list[_Region]:
    """The choices, each against the others, and the parts of a range above each of some cuts."""
    places = axis.places([trial.params for trial in known])
    applies = np.isfinite(places)
    name = axis.name
    if axis.choices is not None:
        levels = levels_of(axis, [trial.params for trial in known])
        regions = []
        for code, label in enumerate(levels.labels):
            inside = levels.codes == code
            regions.append(_Region(name, f"{name} {label}", "other choices", inside, applies))
            if len(levels.labels) > 2:
                where, outside = f"{name} other than {label}", applies & ~inside
                regions.append(_Region(name, where, label, outside, applies))
        return regions
    regions = []
    values = np.unique(places[applies])
    last = max(len(values) - 1, 0)
    for place in np.unique(np.linspace(0, last, min(_CUTS, last) + 1).astype(int))[1:]:
        below, above = float(values[place - 1]), float(values[place])
        cut = _round_between(axis, below, above)
        high = np.where(applies, places, -np.inf) >= above
        regions += [
            _Region(name, f"{name} above {cut}", "lower ones", high, applies),
            _Region(name, f"{name} up to {cut}", "higher ones", applies & ~high, applies),
        ]
    return regions


def _round_between(axis: Axis, below: float, above: float) -> str:
    """The shortest number from ``below`` to under ``above`` (places on the axis)."""
    low, high = (10**below, 10**above) if axis.is_log else (below, above)
    middle = 10 ** ((below + above) / 2) if axis.is_log else (below + above) / 2
    for digits in range(1, 17):
        text = number(middle, digits)
        if low <= float(text) < high:
            return number(float(text), max(digits, 6))
    return repr(low)


def _worst(regions: Sequence[_Region], has_failed: Bools) -> tuple[_Region, float] | None:
    """The region whose failures are the least likely by chance; None: chance may explain all."""
    alpha = ALPHA / (2 * _FAMILIES * max(len(regions), 1))
    best, smallest = None, alpha
    for region in regions:
        inside, outside = _counts(region, has_failed)
        if inside[0] < FEWEST or not inside[1] or not outside[1]:
            continue
        if inside[0] * outside[1] <= outside[0] * inside[1]:
            continue  # no greater share than elsewhere
        table = [[count, n - count] for count, n in (inside, outside)]
        from scipy.stats import fisher_exact  # takes a second to import, and is rarely needed

        chance = float(fisher_exact(table, alternative="greater")[1])
        if chance < smallest and newcombe(inside, outside, 2 * alpha).low > 0:
            best, smallest = region, chance
    return None if best is None else (best, 2 * alpha)


def _counts(region: _Region, has_failed: Bools) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many failed of how many, inside and in the rest of the axis."""
    outside = region.applies & ~region.is_inside
    return (
        (int(has_failed[region.is_inside].sum()), int(region.is_inside.sum())),
        (int(has_failed[outside].sum()), int(outside.sum())),
    )


def _finding(
    region: _Region, alpha: float, has_failed: Bools, verb: str, of: str
) -> tuple[_Region, Finding]:
    inside, outside = _counts(region, has_failed)
    by = newcombe(inside, outside, alpha)
    joined = "and" if of != "trials" else "with"
    sentence = (
        f"{inside[0]} of {inside[1]} {of} {joined} {region.where} {verb}, "
        f"{outside[0]} of {outside[1]} with {region.elsewhere}"
    )
    figure = f"share that {verb} there minus share elsewhere"
    n = inside[1] + outside[1]
    names = (region.parameter,)
    return region, Finding("failure", sentence, names, None, n, figure, *by, alpha)
