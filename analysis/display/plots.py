"""Pictures as PNG files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.display.numbers import percent
from spaces.problems import printable


@contextmanager
def _without_a_backend() -> Iterator[None]:
    """Keep MPLBACKEND from matplotlib: a notebook sets it to a package that may not be here."""
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


with _without_a_backend():
    from matplotlib import colormaps
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

MOST_BARS = 10


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
        _show_image(axes, image)
        axes.set_title(_plain(label), fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


def _show_image(axes: Axes, image: npt.NDArray[Any]) -> None:
    """Draw (channels, height, width): black is 0, white 255, or 1 where it holds floats."""
    white = 255 if image.dtype == np.uint8 else 1.0
    pixels = image.transpose(1, 2, 0).squeeze()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=white, interpolation="nearest")


@dataclass(frozen=True)
class Line:
    """A curve with a label; ``band``: how far it spreads, below and above.

    From the point ``dashed_from`` on it stands for a part of what it stood for before.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    band: tuple[Sequence[float], Sequence[float]] | None = None
    dashed_from: int | None = None


@dataclass(frozen=True)
class Panel:
    """Axes with their lines; ``log``: whether the upward one is logarithmic."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log: bool = False


def draw_panels(panels: Sequence[Panel], columns: int, title: str, path: Path) -> None:
    """Draw panels in a grid, with one legend; neighbours that show the same share their y axis.

    Args:
        panels: row by row.
        columns: how many panels a row has.
        title: above all.
        path: the PNG file to write.

    Raises:
        OSError: when it can't be written.
        ValueError: when its name's ending is no kind of picture.
    """
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.2 * columns + 2.4, 3.2 * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines))
    styles = {label: _style(place, len(labels)) for place, label in enumerate(labels)}
    drawn: list[Axes] = []
    for place, panel in enumerate(panels):
        is_first = place % columns == 0 or panels[place - 1].y != panel.y
        neighbour = None if is_first else drawn[-1]
        axes = figure.add_subplot(rows, columns, place + 1, sharey=neighbour)
        for line in panel.lines:
            _draw_line(axes, line, styles[line.label])
        axes.set_title(_plain(panel.title), fontsize=10)
        axes.set_ylabel(_plain(panel.y) if is_first else "", fontsize=9)
        axes.set_xlabel(panel.x if place >= len(panels) - columns else "", fontsize=9)
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if panel.log:
            axes.set_yscale("log", nonpositive="mask")
        drawn.append(axes)
    handles = [Line2D([], [], label=_plain(label), **styles[label]) for label in labels]
    figure.legend(handles=handles, loc="outside right center", fontsize=9)
    figure.suptitle(_plain(title), fontsize=11)
    figure.savefig(path, dpi=120)


def _draw_line(axes: Axes, line: Line, style: dict[str, Any]) -> None:
    whole = len(line.x) if line.dashed_from is None else line.dashed_from
    axes.plot(line.x[:whole], line.y[:whole], marker=".", markersize=4, **style)
    axes.plot(line.x[max(0, whole - 1) :], line.y[max(0, whole - 1) :], "--", **style)
    if line.band is not None:
        axes.fill_between(line.x, *line.band, color=style["color"], alpha=0.18, linewidth=0)


def _style(place: int, count: int) -> dict[str, Any]:
    """Colours that are told apart (for many lines an ordered scale of them), first lines wider.

    So a line below another is seen.
    """
    colour = f"C{place}" if count <= 10 else colormaps["viridis"](place / (count - 1))
    return {"color": colour, "linewidth": 3.0 - 1.8 * place / max(1, count - 1)}


def _plain(text: str) -> str:
    """A text without signs that would be drawn as a formula, or can't be drawn."""
    return printable(text).replace("\t", " ").replace("$", r"\$")


def draw_answers(
    images: Sequence[npt.NDArray[Any]],
    titles: Sequence[str],
    probabilities: Sequence[Mapping[str, float]],
    path: Path,
) -> None:
    """Draw each picture beside its class probabilities, as bars, the ten likeliest.

    Args:
        images: each (channels, height, width) uint8.
        titles: one for each.
        probabilities: for each, by class.
        path: the PNG file to write.

    Raises:
        OSError: when it can't be written.
        ValueError: when its name's ending is no kind of picture.
    """
    figure = Figure(figsize=(6.4, 2.6 * len(images)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(images), 2, squeeze=False, width_ratios=(1, 1.4))
    for axes, image, title, classes in zip(grid, images, titles, probabilities, strict=True):
        _show_image(axes[0], image)
        axes[0].set_title(_plain(title), fontsize=9)
        axes[0].set_axis_off()
        likeliest = sorted(classes, key=lambda name: -classes[name])[:MOST_BARS]
        names = [name for name in classes if name in likeliest]
        bars = axes[1].barh([_plain(name) for name in names], [classes[name] for name in names])
        axes[1].bar_label(
            bars, [percent(classes[name], 1) for name in names], padding=3, fontsize=8
        )
        axes[1].invert_yaxis()
        axes[1].set_xlim(0.0, 1.18)
        axes[1].set_xticks([0.0, 0.5, 1.0])
        axes[1].set_xlabel("probability", fontsize=9)
    figure.savefig(path, dpi=120)
