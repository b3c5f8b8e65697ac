"""What values a metric can take, and which scores are those of a collapsed training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from analysis.scale import scale_of
from analysis.trials import Trials
from spaces.experiment import Metric

_ERRORS = ("loss", "error", "mse", "mae")  # how the names end of what is never below 0
_FAR = 6  # median absolute deviations from the median
_VERY_FAR = 30  # where nothing says how bad a score can be
_FEWEST = 3  # scores, so that most of them can stand together
_FEWEST_UNBOUNDED = 5


@dataclass(frozen=True)
class Bounds:
    """What scores of a metric can be.

    Args:
        mode: which of them are better.
        low: none is below it.
        high: none is above it.
        step: they are multiples of it: 1 / samples, of an accuracy on so many; 0 if not known.
        chance: the accuracy of a model that learned nothing.
    """

    mode: Literal["min", "max"] = "max"
    low: float = -math.inf
    high: float = math.inf
    step: float = 0.0
    chance: float = 0.0

    def clip(self, value: float) -> float:
        """The nearest value that is possible."""
        return min(max(value, self.low), self.high)


FREE = Bounds()  # anything


def bounds_of(
    metric: Metric, scores: Sequence[float], samples: int | None = None, classes: int = 0
) -> Bounds:
    """The bounds of a metric, by its name and by scores of it.

    Args:
        metric: its name tells an accuracy and a loss.
        scores: finite ones; an accuracy in per cent or a negative loss have no bounds.
        samples: of the split that they were measured on, where it is known.
        classes: how many there are, where it is known.
    """
    if scale_of(metric.name, scores).is_share:
        chance = 1.0 / classes if classes else 0.0
        return Bounds(_mode(metric), 0.0, 1.0, 1.0 / samples if samples else 0.0, chance)
    is_error = metric.mode == "min" and metric.name.endswith(_ERRORS)
    return Bounds(_mode(metric), 0.0 if is_error and min(scores, default=-1) >= 0 else -math.inf)


def bounds_in(
    metric: Metric, scores: Sequence[float], trials: Trials, test_samples: int | None = None
) -> Bounds:
    """The bounds of the scores of a run, as far as its journal tells the split and the classes.

    Args:
        metric: the run's.
        scores: finite ones.
        trials: the run's.
        test_samples: how many the test split has, for scores on it; None: on validation.
    """
    start = trials.start
    names = _held(start and start.inputs, "class_names")
    classes = len(names) if isinstance(names, list) else 0
    samples: Any = test_samples
    if samples is None:
        samples = _held(_held(start and start.split, "validation"), "samples")
    is_count = isinstance(samples, int) and samples > 0
    return bounds_of(metric, scores, samples if is_count else None, classes)


def collapsed(scores: Sequence[float], bounds: Bounds) -> list[float]:
    """The scores that are so far below the others that these trainings failed.

    A score counts as one when it is worse than the median by more than six median absolute
    deviations, and lost more than half of what the median is above chance (an accuracy), or is
    more than twice the median (a loss). Of other metrics nothing says how bad a score can be:
    there it takes thirty of these deviations, and five scores.

    Args:
        scores: finite ones of one configuration, under different seeds.
        bounds: what they can be.
    """
    is_bounded = bounds.low == 0.0
    if len(scores) < (_FEWEST if is_bounded else _FEWEST_UNBOUNDED):
        return []
    middle = median(scores)
    deviation = max(median(abs(score - middle) for score in scores), bounds.step)
    far = (_FAR if is_bounded else _VERY_FAR) * deviation
    if is_bounded:
        learned = middle if bounds.mode == "min" else 0.5 * (middle - bounds.chance)
        far = max(far, learned)
    sign = 1.0 if bounds.mode == "max" else -1.0
    return [score for score in scores if sign * (middle - score) > far]


def _mode(metric: Metric) -> Literal["min", "max"]:
    return "min" if metric.mode == "min" else "max"


def _held(part: object, name: str) -> Any:
    return part.get(name) if isinstance(part, Mapping) else None
