"""When a training is lost."""

from __future__ import annotations

import math

EXPLODED = 1e4  # a loss so many times the first one will not come back


def has_exploded(loss: float, first: float) -> bool:
    """Whether a loss is not finite, or far above the first one (counted as at least 1).

    Args:
        loss: of some steps, or of an epoch.
        first: the same training's first one.
    """
    return not math.isfinite(loss) or loss > EXPLODED * max(first, 1.0)
