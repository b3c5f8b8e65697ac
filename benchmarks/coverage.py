"""How often the intervals of a confirmation hold the truth, on made noise whose mean is known.

Accuracies near 97 % (the baseline's: 95 %) with a standard deviation of 0.2, 0.6 or 1 point under
different seeds, read on a validation split of so many images, so that they are multiples of one
image. The noise is normal, flat, skewed to the left as accuracies near a ceiling are (skewness -1,
-1.4, -2), or skewed to the right; or one seed in ten collapses to chance. Printed is the share, in
per cent, of the intervals that hold the truth: the poorest and the best of the three deviations;
for the gain, those where the winner's deviation is that of the baseline, half, and twice as much.

    python benchmarks/coverage.py
    python benchmarks/coverage.py --cases 500 --students    # Student's t and Welch's, beside
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from analysis.stats.intervals import difference, estimate, student
from analysis.stats.score_range import Bounds, bounds_of, collapsed, sound
from spaces.metric import Metric

DEVIATIONS = (0.002, 0.006, 0.01)
RATIOS = (1.0, 0.5, 2.0)
SEEDS = (2, 3, 5, 10)
SPLITS = (288, 2_000, 10_000)
CHANCE = 0.1
Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _gamma(shape: float, sign: float) -> Noise:
    """Of skewness ``sign`` * 2 / sqrt(shape), with mean 0 and deviation 1."""
    return lambda draw, size: sign * (draw.gamma(shape, size=size) - shape) / math.sqrt(shape)


KINDS: dict[str, Noise] = {
    "normal": lambda draw, size: draw.normal(size=size),
    "flat": lambda draw, size: draw.uniform(-math.sqrt(3.0), math.sqrt(3.0), size),
    "skewed, -1": _gamma(4.0, -1.0),
    "skewed, -1.4": _gamma(2.0, -1.0),
    "skewed, -2": _gamma(1.0, -1.0),
    "skewed, +1": _gamma(4.0, 1.0),
}
COLLAPSING = "one in ten collapses"


@dataclass(frozen=True)
class Made:
    """Scores under seeds, (cases, seeds), and their true mean, that of the sound ones."""

    scores: np.ndarray
    truth: float


def make(
    draw: np.random.Generator, kind: str, mean: float, deviation: float, samples: int, size: int
) -> Made:
    """200,000 scores, so that their mean is known to a hundredth of any interval."""
    noise = KINDS["normal" if kind == COLLAPSING else kind](draw, (200_000 // size, size))
    scores = np.round(np.clip(mean + deviation * noise, 0.0, 1.0) * samples) / samples
    truth = float(scores.mean())
    if kind == COLLAPSING:
        scores[draw.random(scores.shape) < 0.1] = round(CHANCE * samples) / samples
    return Made(scores, truth)


def plain_mean(scores: list[float]) -> tuple[float, float]:
    """Student's interval."""
    half = student(len(scores) - 1) * math.sqrt(variance(scores) / len(scores))
    return fmean(scores) - half, fmean(scores) + half


def plain_gain(a: list[float], b: list[float]) -> tuple[float, float]:
    """Welch's interval."""
    of_a, of_b = variance(a) / len(a), variance(b) / len(b)
    both, mean = of_a + of_b, fmean(a) - fmean(b)
    if both == 0.0:
        return mean, mean
    degrees = both**2 / (of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1))
    half = student(degrees) * math.sqrt(both)
    return mean - half, mean + half


def coverage(
    kind: str, seeds: int, samples: int, cases: int, students: bool = False
) -> list[float]:
    """Poorest and best share of the means', then of the gains' intervals that hold the truth.

    Args:
        kind: of noise.
        seeds: how many scores.
        samples: of the split.
        cases: of each deviation.
        students: Student's and Welch's intervals instead of ours.
    """
    draw = np.random.default_rng(0)
    bounds = Bounds(low=0.0, high=1.0, step=1.0 / samples, unlearned=CHANCE)
    means, gains = [], []
    for deviation in DEVIATIONS:
        winner = make(draw, kind, 0.97, deviation, samples, seeds)
        rows = winner.scores[:cases].tolist()
        means.append(share([mean_of(row, bounds, students) for row in rows], winner.truth))
        for ratio in RATIOS:
            baseline = make(draw, kind, 0.95 + 0.3 / samples, ratio * deviation, samples, seeds)
            pairs = zip(rows, baseline.scores[:cases].tolist(), strict=True)
            found = [gain_of(a, b, bounds, students) for a, b in pairs]
            gains.append(share(found, winner.truth - baseline.truth))
    return [min(means), max(means), min(gains), max(gains)]


def mean_of(scores: list[float], bounds: Bounds, students: bool) -> tuple[float, float] | None:
    """The interval of a mean, if there is one."""
    if students:
        return plain_mean(scores)
    found = estimate(sound(scores, bounds), bounds)
    return None if found is None else (found.low, found.high)


def gain_of(
    a: list[float], b: list[float], bounds: Bounds, students: bool
) -> tuple[float, float] | None:
    """The interval of a gain, if there is one."""
    if students:
        return plain_gain(a, b)
    found = difference(sound(a, bounds), sound(b, bounds), bounds, bounds)
    return None if found is None else (found.low, found.high)


SOUND: dict[str, tuple[str, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "val_accuracy, 0.3 points": ("max", lambda draw, n: draw.normal(0.97, 0.003, n)),
    "val_acc, of 288, 1 image": ("max", lambda draw, n: draw.normal(280, 1, n).round() / 288),
    "val_f1, 2 digits, 0.004": ("max", lambda draw, n: draw.normal(0.85, 0.004, n).round(2)),
    "val_accuracy in %, 0.1": ("max", lambda draw, n: draw.normal(95, 0.1, n).round(1)),
    "val_error, 1 % of 288": ("min", lambda draw, n: draw.binomial(288, 0.01, n) / 288),
    "val_loss, a fifth": ("min", lambda draw, n: np.exp(draw.normal(0.0, 0.2, n))),
    "val_loss, half": ("min", lambda draw, n: np.exp(draw.normal(0.0, 0.5, n))),
    "reward, normal": ("max", lambda draw, n: draw.normal(5.0, 1.0, n)),
    "reward, Student's t of 3": ("max", lambda draw, n: draw.standard_t(3, n)),
}


def false_collapses(kind: str, seeds: int, cases: int) -> float:
    """How often a seed counts as collapsed though all are sound.

    Args:
        kind: the metric and its noise.
        seeds: how many scores.
        cases: so many times.
    """
    mode, noise = SOUND[kind]
    metric = Metric(name=kind.split()[0].rstrip(","), mode="min" if mode == "min" else "max")
    rows = noise(np.random.default_rng(0), cases * seeds).reshape(cases, seeds).tolist()
    return sum(bool(collapsed(row, bounds_of(metric, row))) for row in rows) / cases


def share(intervals: list[tuple[float, float] | None], truth: float) -> float:
    """How many of the intervals, of those that there are, hold the truth."""
    known = [interval for interval in intervals if interval is not None]
    return sum(low - 1e-9 <= truth <= high + 1e-9 for low, high in known) / len(known)


def main() -> None:
    """Print a line for each kind of noise and each split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--students", action="store_true")
    settings = parser.parse_args()
    heads = "".join(f"{f'{seeds} seeds':>26}" for seeds in SEEDS)
    print(f"{'noise':<22}{'images':>7}{heads}\n{'':<29}{'mean         gain':>26}" + "")
    for kind in (*KINDS, COLLAPSING):
        for samples in SPLITS:
            cells = ""
            for seeds in SEEDS:
                found = coverage(kind, seeds, samples, settings.cases, settings.students)
                low, high, gain_low, gain_high = (100 * value for value in found)
                cells += f"{low:>9.1f}-{high:.1f} {gain_low:>7.1f}-{gain_high:.1f}"
            print(f"{kind:<22}{samples:>7}{cells}", flush=True)
    print("\nsound seeds that count as collapsed, in per cent of the confirmations")
    for kind in SOUND:
        shares = (100 * false_collapses(kind, seeds, settings.cases) for seeds in SEEDS)
        print(f"{kind:<29}" + "".join(f"{share:>26.1f}" for share in shares))


if __name__ == "__main__":
    main()
