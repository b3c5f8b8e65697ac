"""Reading one picture of a user's, for training and for prediction alike."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from spaces.problems import InputError
from trainables.sources import Array

_DEEP = ("I", "F")  # modes with more than 8 bits a channel, which PIL would cut off


@dataclass(frozen=True)
class Picture:
    """``pixels``: (channels, height, width) uint8; ``note``: how it was resized, if it was."""

    pixels: Array
    note: str | None


def read_picture(path: Path, channels: int, size: tuple[int, int] | None = None) -> Picture:
    """Read a picture upright, as grey (1 channel) or colour (3); what is transparent is white.

    Args:
        path: the file.
        channels: 1 or 3; what is otherwise is converted.
        size: (height, width) that it is resized to; None: its own.

    Raises:
        InputError: when it is no picture that can be read.
    """
    if not os.path.isfile(path):
        found = "is a folder" if os.path.isdir(path) else "there is no such file"
        raise InputError(found, source=str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                is_deep = opened.mode.startswith(_DEEP)
                image = _opaque(ImageOps.exif_transpose(opened))
                image = image.convert("L" if channels == 1 else "RGB")
    except Exception as error:  # of any kind: each format has a decoder of its own
        raise InputError(f"is no picture that can be read: {error}", source=str(path)) from None
    if is_deep:
        raise InputError("has more than 8 bits a channel; save it with 8", source=str(path))
    note = None
    if size is not None and image.size != (size[1], size[0]):
        note = f"resized from {image.size[0]}x{image.size[1]} to {size[1]}x{size[0]}"
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return Picture(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), note)


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA"))
