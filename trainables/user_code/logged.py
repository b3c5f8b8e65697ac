"""Images, figures and texts that the user's code logs, as they are shown in TensorBoard."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from spaces.logged import MOST_BYTES
from spaces.problems import shown

_LONGEST_NAME = 60  # a file has it, in which a character takes up to four bytes
_CHANNELS = (1, 3, 4)
_RULE = (
    "context.log_image takes a PIL image, or an array of shape (height, width), "
    "(height, width, channels) or (channels, height, width) with 1, 3 or 4 channels"
)


def checked_name(name: Any) -> str:
    """The name under which something is shown.

    Raises:
        ValueError: when it is no text of 1 to 60 printable characters.
    """
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME:
        return name
    rule = f"the name of what is logged has 1 to {_LONGEST_NAME} printable characters"
    raise ValueError(f"{rule}, got {shown(name)}")


def image_bytes(image: Any) -> bytes:
    """An image as a PNG file.

    Args:
        image: PIL's, or an array or tensor of uint8, bool, or floats in [0, 1].

    Raises:
        TypeError: when it is no image.
        ValueError: when its values are none of an image, or it is too large.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(_pixels(image))
    if picture.mode not in ("L", "RGB", "RGBA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return _checked_size(file.getvalue(), "image")


def figure_bytes(figure: Any) -> bytes:
    """A figure of Matplotlib's as a PNG file.

    Raises:
        TypeError: when it is none.
        ValueError: when it is too large.
    """
    if not hasattr(figure, "savefig"):
        raise TypeError(f"context.log_figure takes a figure of Matplotlib's, got {shown(figure)}")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return _checked_size(file.getvalue(), "figure")


def text_bytes(text: Any) -> bytes:
    """A text, which TensorBoard shows as Markdown, in UTF-8.

    Raises:
        TypeError: when it is none.
        ValueError: when it is too long.
    """
    if not isinstance(text, str):
        raise TypeError(f"context.log_text takes a text, got {shown(text)}")
    return _checked_size(text.encode(errors="backslashreplace"), "text")


def _checked_size(content: bytes, kind: str) -> bytes:
    if len(content) > MOST_BYTES:
        rule = f"a logged {kind} may have {MOST_BYTES:,} bytes"
        raise ValueError(f"{rule}, this one has {len(content):,}")
    return content


def _pixels(image: Any) -> npt.NDArray[np.uint8]:
    """The array of an image, (height, width) or (height, width, channels) uint8.

    Where the shape allows both, a tensor has its channels first, and an array last.
    """
    is_tensor = isinstance(image, torch.Tensor)
    array = np.asarray(image.detach().cpu() if is_tensor else image)
    if array.ndim == 3:
        is_first, is_last = (array.shape[place] in _CHANNELS for place in (0, -1))
        if is_first and (is_tensor or not is_last):
            array = array.transpose(1, 2, 0)
    is_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in _CHANNELS)
    if not is_shape or 0 in array.shape or array.dtype.kind not in "bfu":
        raise TypeError(f"{_RULE}, got {array.dtype} of shape {array.shape}")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"floats of an image lie in [0, 1], got {low:g} to {high:g}")
        array = np.round(array * 255.0)
    elif array.dtype.kind == "b":
        array = array * np.uint8(255)
    elif array.dtype != np.uint8:
        raise TypeError(f"{_RULE}, of uint8, bool or floats, got {array.dtype}")
    return np.ascontiguousarray(array.astype(np.uint8))
