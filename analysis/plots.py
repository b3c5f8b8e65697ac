"""Pictures as PNG files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spaces.problems import printable

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
        axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", interpolation="nearest")
        axes.set_title(label, fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


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
    figure = Figure(figsize=(max(6.4, 4.2 * columns), 3.2 * rows + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines))
    colours = {label: _colour(place, len(labels)) for place, label in enumerate(labels)}
    drawn: list[Axes] = []
    for place, panel in enumerate(panels):
        is_first = place % columns == 0 or panels[place - 1].y != panel.y
        neighbour = None if is_first else drawn[-1]
        axes = figure.add_subplot(rows, columns, place + 1, sharey=neighbour)
        for line in panel.lines:
            _draw_line(axes, line, colours[line.label])
        axes.set_title(_plain(panel.title), fontsize=10)
        axes.set_ylabel(panel.y if is_first else "", fontsize=9)
        axes.set_xlabel(panel.x if place >= len(panels) - columns else "", fontsize=9)
        axes.grid(alpha=0.3)
        if panel.log:
            axes.set_yscale("log")
        drawn.append(axes)
    handles = [Line2D([], [], color=colours[label], label=_plain(label)) for label in labels]
    figure.legend(handles=handles, loc="outside right upper", fontsize=9)
    figure.suptitle(_plain(title), fontsize=11)
    figure.savefig(path, dpi=120)


def _draw_line(axes: Axes, line: Line, colour: Any) -> None:
    whole = len(line.x) if line.dashed_from is None else line.dashed_from
    axes.plot(line.x[:whole], line.y[:whole], color=colour, linewidth=1.6, marker=".", markersize=3)
    axes.plot(line.x[max(0, whole - 1) :], line.y[max(0, whole - 1) :], "--", color=colour)
    if line.band is not None:
        axes.fill_between(line.x, *line.band, color=colour, alpha=0.18, linewidth=0)


def _plain(text: str) -> str:
    """A text without signs that would be drawn as a formula, or can't be drawn."""
    return printable(text).replace("$", r"\$")


def _colour(place: int, count: int) -> Any:
    """Colours that are told apart; for many lines, an ordered scale of them."""
    return f"C{place}" if count <= 10 else colormaps["viridis"](place / (count - 1))


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
        axes[0].imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", interpolation="nearest")
        axes[0].set_title(_plain(title), fontsize=9)
        axes[0].set_axis_off()
        likeliest = sorted(classes, key=lambda name: -classes[name])[:MOST_BARS]
        names = [name for name in classes if name in likeliest]
        bars = axes[1].barh([_plain(name) for name in names], [classes[name] for name in names])
        axes[1].bar_label(bars, [f"{classes[name]:.1%}" for name in names], padding=3, fontsize=8)
        axes[1].invert_yaxis()
        axes[1].set_xlim(0.0, 1.18)
        axes[1].set_xticks([0.0, 0.5, 1.0])
        axes[1].set_xlabel("probability", fontsize=9)
    figure.savefig(path, dpi=120)
