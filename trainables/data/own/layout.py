"""The layout of an array of inputs: features, or images with their channels first."""

from __future__ import annotations

import numpy as np

from spaces.problems import InputError
from trainables.data.sources import Array

_SHAPES = (
    "(samples, features), or for images (samples, height, width), "
    "(samples, channels, height, width) or (samples, height, width, channels)"
)


def checked_inputs(x: Array) -> Array:
    """Inputs as a model takes them, before they are normalised.

    Args:
        x: (samples, features) of numbers; or images, uint8 or floats in [0, 1], with or without
            an axis of channels, which is the second or the last and the shortest of its three.

    Returns:
        (samples, features) float32, or (samples, channels, height, width) uint8 or float32.

    Raises:
        InputError: when it is neither.
    """
    if x.dtype.kind not in "iufb":
        raise InputError(f"x must hold numbers, got {x.dtype}")
    if 0 in x.shape or x.ndim not in (2, 3, 4):
        more = "; of one feature, write x[:, None]" if x.ndim == 1 else ""
        raise InputError(f"x must be of the shape {_SHAPES}, got {x.shape}{more}")
    if x.ndim == 2:
        return _finite(x)
    return _channels_first(_pixels(x))


def _finite(x: Array) -> Array:
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    if missing := int((~np.isfinite(values)).sum()):
        raise InputError(
            f"x holds {missing:,} values that are not finite; fill them, or use a table, in which "
            "missing values are marked"
        )
    return values


def _pixels(x: Array) -> Array:
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f":
        raise InputError(f"images are uint8 or floats in [0, 1], got {x.dtype}; x.astype('uint8')")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0.0 and high <= 1.0):
        raise InputError(
            f"images of floats lie in [0, 1], got values from {low:g} to {high:g}; "
            "x / 255 scales those of bytes"
        )
    return x.astype(np.float32)


def _channels_first(x: Array) -> Array:
    if x.ndim == 3:
        return np.ascontiguousarray(x[:, None])
    _, first, middle, last = x.shape
    if first < min(middle, last):
        return np.ascontiguousarray(x)
    if last < min(first, middle):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    raise InputError(
        f"x has the shape {x.shape}, which does not tell the channels: they are the second or the "
        "last axis, and fewer than rows and columns; write grey images as (samples, height, width)"
    )
