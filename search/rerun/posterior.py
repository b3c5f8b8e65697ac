"""How probable it is that each of several candidates is the best, given a few noisy scores."""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import chdtri, log_ndtr

_SHARES = (np.arange(12) + 0.5) / 12  # of the noise's distribution, each as probable as the next
_POINTS = np.linspace(-8.0, 8.0, 121)  # standard errors around the best mean


@functools.lru_cache(maxsize=256)
def chances_of_best(
    means: tuple[float, ...], counts: tuple[int, ...], variance: float, degrees: int
) -> tuple[float, ...]:
    """The posterior probability of each candidate that its true mean is the highest.

    Scores are normal, with a variance that all candidates share; nothing is known before them
    (a flat prior of the means, 1 / variance of the variance). By quadrature, without chance.

    Args:
        means: of each candidate's scores, higher ones are better.
        counts: how many scores each mean is of.
        variance: within candidates.
        degrees: of freedom of that variance, 1 or more.
    """
    at = np.array(means)
    if variance <= 0.0:
        is_best = at == at.max()
        return tuple((is_best / is_best.sum()).tolist())
    noise = np.sqrt(variance * degrees / chdtri(degrees, _SHARES))
    errors = (noise[:, None] / np.sqrt(np.array(counts)))[:, :, None]  # (noise, candidates, 1)
    points = at.max() + errors.max(axis=1, keepdims=True) * _POINTS  # (noise, 1, points)
    distances = np.clip((points - at[:, None]) / errors, -100.0, 100.0)
    below = log_ndtr(distances)  # how probable each is to be below this point
    others = below.sum(axis=1, keepdims=True) - below
    weights = (np.exp(others - 0.5 * distances**2) / errors).sum(axis=2)
    return tuple((weights / weights.sum(axis=1, keepdims=True)).mean(axis=0).tolist())
