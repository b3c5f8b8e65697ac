"""A user's pictures as inputs of a trained model."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from spaces.problems import InputError
from trainables.sources import Array

_DEEP = ("I", "F")  # modes with more than 8 bits a channel


@dataclass(frozen=True)
class Picture:
    """``pixels``: (channels, height, width) uint8; ``note``: what was changed to get there."""

    pixels: Array
    note: str | None


def read_picture(path: Path, shape: tuple[int, ...]) -> Picture:
    """Read a picture as a model needs it: grey or colour, and of its size.

    Args:
        path: the file.
        shape: (channels, height, width), with 1 or 3 channels.

    Raises:
        InputError: when it is no picture that can be read.
    """
    channels, height, width = shape
    if not os.path.isfile(path):
        raise InputError("there is no such file", source=str(path))
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("ignore")
            if opened.mode.startswith(_DEEP):
                raise InputError("has more than 8 bits a channel; save it with 8", str(path))
            image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"is no picture that can be read: {error}", source=str(path)) from None
    note = None
    if image.size != (width, height):
        note = f"resized from {image.size[0]}x{image.size[1]} to {width}x{height}"
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return Picture(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), note)
