"""Reading one picture of a user's, for training and for prediction alike."""

from __future__ import annotations

import functools
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from spaces.problems import InputError
from trainables.data.sources import Array

MOST_PIXELS = 100_000_000  # Pillow takes 4 bytes for each, several times over
_LARGE_PIXELS = 32_000_000  # from here on a picture is made smaller while it is decoded

# what PIL would cut to 8 bits a channel: modes, and what it makes an 8-bit mode of
_DEEP_MODES = ("I", "F")
_DEEP_DATA = re.compile(";16[BLNS]")
_NO_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # PIL needs other programs for them


@dataclass(frozen=True)
class Picture:
    """``pixels``: (channels, height, width) uint8; ``note``: how it was resized, if it was."""

    pixels: Array
    note: str | None


@functools.cache
def picture_endings() -> frozenset[str]:
    """How the names of files end that can be read as pictures: ``.png``, and many more."""
    kinds = Image.registered_extensions().items()
    return frozenset(e for e, kind in kinds if kind in Image.OPEN and kind not in _NO_PICTURES)


def read_picture(path: Path, channels: int, size: tuple[int, int] | None = None) -> Picture:
    """Read a picture upright, as grey (1 channel) or colour (3); what is transparent is white.

    Args:
        path: the file.
        channels: 1 or 3; what is otherwise is converted.
        size: (height, width) that it is resized to; None: its own.

    Raises:
        InputError: when it is no picture that can be read, or has more than ``MOST_PIXELS``.
    """
    if not os.path.isfile(path):
        found = "is a folder" if os.path.isdir(path) else "there is no such file"
        raise InputError(found, source=str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                _check(opened)
                short, long = sorted(opened.size)
                image = opened if size is None else _decoded_small(opened, max(size))
                image = _opaque(ImageOps.exif_transpose(image))
                image = image.convert("L" if channels == 1 else "RGB")
    except Image.DecompressionBombError:
        raise InputError(_too_large(), source=str(path)) from None
    except InputError as error:
        raise InputError(error.problems, source=str(path)) from None
    except Exception as error:  # of any kind: each format has a decoder of its own
        raise InputError(f"is no picture that can be read: {error}", source=str(path)) from None
    note = None
    width, height = (long, short) if image.width > image.height else (short, long)
    if size is not None and (height, width) != size:
        note = f"resized from {width}x{height} to {size[1]}x{size[0]}"
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return Picture(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), note)


def _check(opened: Image.Image) -> None:
    """Refuse, before it is decoded, a picture that is too large or would be cut to 8 bits."""
    if opened.width * opened.height > MOST_PIXELS:
        raise InputError(_too_large(f", got {opened.width}x{opened.height}"))
    tiles = str(getattr(opened, "tile", ""))
    if opened.mode.startswith(_DEEP_MODES) or _DEEP_DATA.search(tiles):
        raise InputError("has more than 8 bits a channel; save it with 8")


def _too_large(got: str = "") -> str:
    return f"a picture may have at most {MOST_PIXELS:,} pixels{got}; save it smaller"


def _decoded_small(opened: Image.Image, size: int) -> Image.Image:
    """A large picture at a fraction of its size, no side shorter than twice ``size``."""
    if opened.width * opened.height < _LARGE_PIXELS:
        return opened
    opened.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at an eighth, if that will do
    factor = min(opened.size) // (2 * size)
    if factor < 2:
        return opened
    image = opened
    if opened.has_transparency_data:
        image = opened.convert("RGBA")
    elif opened.mode in ("1", "P"):  # neither can be averaged as it is
        image = opened.convert("RGB")
    return image.reduce(factor)


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA"))
