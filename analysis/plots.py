"""Pictures as PNG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_images(images: npt.NDArray[Any], labels: Sequence[str], path: Path) -> None:
    """Draw images in a grid, each with its label above.

    Args:
        images: (images, channels, height, width); uint8, or floats in [0, 1].
        labels: one for each.
        path: the PNG file to write.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(1.3 * columns, 1.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (image, label) in enumerate(zip(images, labels, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", interpolation="nearest")
        axes.set_title(label, fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)
