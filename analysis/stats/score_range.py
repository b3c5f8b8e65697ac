"""What values a metric can take, and which scores are those of a collapsed training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from analysis.record.trials import Trials
from spaces.directions import is_accuracy, is_error_rate, is_share, usual_mode
from spaces.metric import Metric

_FAR = 6  # median absolute deviations from the median
_VERY_FAR = 30  # where nothing says how bad a score can be
_TIMES = 5  # the median of a loss of which nobody knows what it is where nothing was learned
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
        unlearned: the score of a model that learned nothing; None if not known.
    """

    mode: Literal["min", "max"] = "max"
    low: float = -math.inf
    high: float = math.inf
    step: float = 0.0
    unlearned: float | None = None

    def clip(self, value: float) -> float:
        """The nearest value that is possible."""
        return min(max(value, self.low), self.high)


FREE = Bounds()  # anything


def bounds_of(
    metric: Metric, scores: Sequence[float], samples: int | None = None, classes: int = 0
) -> Bounds:
    """The bounds of a metric, by its name and by scores of it.

    Args:
        metric: its name tells a share and an error.
        scores: finite ones; an accuracy in per cent or a negative loss have no bounds.
        samples: of the split that they were measured on, where it is known.
        classes: how many there are, where it is known.
    """
    name = metric.name
    mode: Literal["min", "max"] = "min" if metric.is_minimized else "max"
    if is_share(name) and all(0.0 <= score <= 1.0 for score in scores):
        if not is_accuracy(name):
            return Bounds(mode, 0.0, 1.0, unlearned=0.0)
        step, chance = (1.0 / count if count else 0.0 for count in (samples, classes))
        return Bounds(mode, 0.0, 1.0, step, unlearned=chance)
    if mode == usual_mode(name) == "min" and all(score >= 0.0 for score in scores):
        unlearned = 1.0 if is_error_rate(name) and all(score <= 1.0 for score in scores) else None
        if classes and name.endswith("_loss"):  # the cross-entropy of the built-in models
            unlearned = math.log(classes)
        return Bounds(mode, low=0.0, unlearned=unlearned)
    return Bounds(mode)


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
    names = start.inputs.get("class_names") if start and isinstance(start.inputs, Mapping) else None
    samples = test_samples
    if samples is None and start and start.split and "validation" in start.split:
        samples = start.split["validation"].samples
    return bounds_of(metric, scores, samples, len(names) if isinstance(names, list) else 0)


def collapsed(scores: Sequence[float], bounds: Bounds) -> list[float]:
    """The scores that are so far below the others that these trainings failed.

    A score counts as one when it is worse than the median by more than six median absolute
    deviations, and lost more than half of what the median is better than a model that learned
    nothing; where that is not known, an error is more than five times the median. Of other metrics
    nothing says how bad a score can be: there it takes thirty deviations, and five scores.

    Args:
        scores: finite ones of one configuration, under different seeds.
        bounds: what they can be.
    """
    is_bounded = bounds.low == 0.0
    if len(scores) < (_FEWEST if is_bounded else _FEWEST_UNBOUNDED):
        return []
    sign, middle = (1.0 if bounds.mode == "max" else -1.0), median(scores)
    deviation = max(median(abs(score - middle) for score in scores), bounds.step)
    far = (_FAR if is_bounded else _VERY_FAR) * deviation
    if bounds.unlearned is not None:
        learned = sign * (middle - bounds.unlearned)
        if learned <= 0.0:
            return []
        far = max(far, 0.5 * learned)
    elif is_bounded:
        far = max(far, (_TIMES - 1) * middle)
    if far == 0.0:  # most scores are the same, which says nothing of the spread of the others
        return []
    return [score for score in scores if sign * (middle - score) > far]


def sound(scores: Sequence[float], bounds: Bounds) -> list[float]:
    """The scores of trainings that did not collapse."""
    fallen = collapsed(scores, bounds)
    return [score for score in scores if score not in fallen]
