"""Which of many parameters are looked at closely: what a report works out takes seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.insight.axes import Axis, levels_of
from analysis.insight.observations import Observed

MOST_PARAMETERS = 20


def screened(axes: Sequence[Axis], observed: Observed) -> list[Axis]:
    """The parameters whose levels differ most in the ranks of the metric, by Kruskal and Wallis.

    Looking at them takes time in proportion to their number, comparing each with all others beside
    it to its square; so there are at most 20. (1952, doi 10.1080/01621459.1952.10483441)

    Args:
        axes: the parameters that vary.
        observed: the configurations.

    Returns:
        All of the axes where there are no more; in their order.
    """
    if len(axes) <= MOST_PARAMETERS:
        return list(axes)
    chances = np.array([_chance(axis, observed) for axis in axes])
    kept = np.sort(np.argsort(chances, kind="stable")[:MOST_PARAMETERS])
    return [axes[place] for place in kept]


def _chance(axis: Axis, observed: Observed) -> float:
    """How likely such differences are where the parameter does nothing."""
    from scipy.stats import kruskal  # takes a second to import, and is rarely needed

    codes = levels_of(axis, observed.rows).codes
    groups = [observed.ranks[codes == code] for code in np.unique(codes[codes >= 0])]
    if len(groups) < 2 or np.ptp(observed.ranks[codes >= 0]) == 0:
        return 1.0
    return float(kruskal(*groups).pvalue)
