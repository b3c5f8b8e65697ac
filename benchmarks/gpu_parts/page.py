"""The page of ``gpu.py``: its figures beside each other, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Parts = Mapping[str, Sequence[Row]]  # the rows of each part

_PLAIN = "MLP 784-512-10"
_CONVNETS = ("convnet of 813,802", "convnet of 4,742,954")
_NONE = "–"


class Figures:
    """What the rows of all parts say.

    Args:
        parts: the rows of each.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def rows(self, part: str, **known: object) -> list[Row]:
        """The rows of a part in which these keys have these values."""
        held = self._parts.get(part, ())
        return [row for row in held if all(row.get(key) == known[key] for key in known)]

    def value(self, part: str, key: str, **known: object) -> Any:
        """A value of the first of those rows that has it; None without one."""
        return next((row[key] for row in self.rows(part, **known) if key in row), None)

    def rate(self, part: str, **known: object) -> float | None:
        """The median of configuration-epochs per second."""
        rate = self.value(part, "rate", **known)
        return None if rate is None else float(rate["median"])

    def best_of_processes(self, **known: object) -> float | None:
        """The rate of the number of processes that was fastest."""
        rates = [row["rate"]["median"] for row in self.rows("processes", **known) if "rate" in row]
        return max(rates, default=None)

    def roofline_seconds(self, model: str, precision: str, lanes: int) -> float | None:
        """The least that a step of so many lanes can take, by what this machine was measured at.

        Arithmetic and memory traffic at the same time. PyTorch computes convolutions of float32 in
        TF32 where a GPU has it, and linear layers not. None where a figure lacks.
        """
        work = next(iter(self.rows("arithmetic", model=model)), None)
        copy = self.value("machine", "bytes_per_second", what="copy")
        in_tf32 = self.value("machine", "convolutions_in_tf32", what="device")
        convolving = "tf32" if in_tf32 and precision == "float32" else precision
        linear, conv = (
            self.value("machine", "flop_per_second", what="matrices", precision=kind)
            for kind in (precision, convolving)
        )
        if work is None or "bytes" not in work or None in (copy, linear, conv):
            return None
        computing = work["linear_flop"] / linear + work["conv_flop"] / conv
        return lanes * max(computing, work["bytes"] / copy)

    def share(self, row: Row) -> float | None:
        """How much of the roofline a shoal has reached."""
        if "seconds_per_step" not in row:
            return None
        least = self.roofline_seconds(row["model"], row["precision"], row["lanes"])
        return ratio(least, row["seconds_per_step"])

    def against(self, row: Row) -> tuple[float | None, float | None]:
        """How many times as fast a shoal is as trainings one by one, and as processes."""
        if "rate" not in row:
            return None, None
        of_same = {"model": row["model"], "precision": row["precision"]}
        alone = self.rate("one by one", compile=False, **of_same)
        found, beside = row["rate"]["median"], self.best_of_processes(**of_same)
        return ratio(found, alone), ratio(found, beside)


def ratio(one: float | None, other: float | None) -> float | None:
    """How many times the other one is; None where either is not known."""
    return None if one is None or not other else one / other


def page(parts: Parts, outcomes: Mapping[str, str], device: str) -> str:
    """The whole page, in Markdown.

    Args:
        parts: the rows of each part.
        outcomes: how each ended.
        device: cuda or cpu.
    """
    figures = Figures(parts)
    blocks: list[str] = ["# The measurements of benchmarks/gpu.py"]
    if device == "cpu":
        blocks.append("**Run on a CPU, to try the program: nothing here says anything of a GPU.**")
    blocks.append("Images are generated. A rate is of configuration-epochs per second, a median.")
    for title, lines in (
        ("The machine", _machine(figures)),
        ("Trainings by themselves", _alone(figures)),
        ("Shoals", _shoals(figures)),
        ("What was wished", _wishes(figures)),
        ("Checks", _checks(figures)),
        ("Parts", _parts(parts, outcomes)),
    ):
        blocks.append(f"## {title}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [_line(head), "|" + "---|" * len(head)]
    return lines + [_line([_shown(value) for value in row]) for row in rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: object) -> str:
    if value is None:
        return _NONE
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return " ".join(str(value).replace("|", "/").split())


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _machine(figures: Figures) -> list[str]:
    rows: list[tuple[str, object]] = []
    for row in figures.rows("machine", what="device"):
        rows += [(key.replace("_", " "), value) for key, value in row.items() if key != "what"]
    copy = figures.value("machine", "bytes_per_second", what="copy")
    rows.append(("copy, GB/s (read and written)", _scaled(copy, 1e9)))
    for row in figures.rows("machine", what="matrices"):
        speed = _scaled(row.get("flop_per_second"), 1e12)
        rows.append((f"product of matrices, {row['precision']}, TFLOP/s", speed))
    return _table(("what", "figure"), rows)


def _alone(figures: Figures) -> list[str]:
    counts = sorted({row["processes"] for row in figures.rows("processes")})
    head = ["model", "precision", "one by one", "compiled", "first epoch of it, s"]
    head += [f"{count} process{'es' if count > 1 else ''}" for count in counts]
    held = [*figures.rows("one by one"), *figures.rows("processes"), *figures.rows("compiled")]
    rows = []
    for model, precision in dict.fromkeys((row["model"], row["precision"]) for row in held):
        of_same = {"model": model, "precision": precision}
        single = [figures.rate(part, **of_same) for part in ("one by one", "compiled")]
        single.append(figures.value("compiled", "first_epoch_seconds", **of_same))
        several = [figures.rate("processes", processes=count, **of_same) for count in counts]
        rows.append([*of_same.values(), *single, *several])
    return _table(head, rows)


def _shoals(figures: Figures) -> list[str]:
    head = "model|precision|lanes|rate|times one by one|times processes at their best"
    head += "|ms per step|roofline, ms|share of it|MiB per lane"
    rows: list[list[object]] = []
    for row in figures.rows("shoals"):
        of_same = [row["model"], row["precision"]]
        if "rate" not in row:
            rows.append([*of_same, row.get("lanes"), _trouble(row), *[None] * 6])
            continue
        least = figures.roofline_seconds(row["model"], row["precision"], row["lanes"])
        rows.append(
            [
                *of_same,
                row["lanes"],
                row["rate"]["median"],
                *figures.against(row),
                1e3 * row["seconds_per_step"],
                _scaled(least, 1e-3),
                figures.share(row),
                _scaled(row.get("bytes_per_lane"), 2**20),
            ]
        )
    lines = _table(head.split("|"), rows)
    lines += ["", "The roofline of a step of one lane, from what follows, times the lanes:", ""]
    work = ("parameters", "batch_size", "linear_flop", "conv_flop", "bytes")
    rows = [[row["model"], *(row.get(key) for key in work)] for row in figures.rows("arithmetic")]
    lines += _table(("model", "parameters", "batch", "FLOP, linear", "convolutions", "bytes"), rows)
    return [
        *lines,
        "",
        "The bytes are the least; a small shoal stays in the GPU's cache, and may be above its",
        "roofline. A step has its share of the evaluation.",
        "",
        "What it gains that a GPU records a step and repeats it (a CUDA graph):",
        "",
        *_table(("model", "lanes", "rate without", "times as fast"), _recorded(figures)),
    ]


def _recorded(figures: Figures) -> Iterator[list[object]]:
    for row in figures.rows("unrecorded"):
        same = {key: row[key] for key in ("model", "precision", "lanes")}
        without = figures.rate("unrecorded", **same)
        gain = ratio(figures.rate("shoals", **same), without)
        yield [row["model"], row["lanes"], _trouble(row) if without is None else without, gain]


def _wishes(figures: Figures) -> list[str]:
    rows: list[tuple[str, object, object]] = []
    held = figures.rows("shoals", model=_PLAIN, precision="float32", lanes=64)
    alone, beside = figures.against(held[0]) if held else (None, None)
    rows.append((f"{_PLAIN}, 64 lanes: times one by one", 40.0, alone))
    rows.append((f"{_PLAIN}, 64 lanes: times processes", 5.0, beside))
    for model in _CONVNETS:
        held = figures.rows("shoals", model=model, precision="float32")
        shares = [share for row in held if (share := figures.share(row)) is not None]
        times = [found for row in held if (found := figures.against(row)[1]) is not None]
        rows.append((f"{model}, at best: share of the roofline", 0.6, max(shares, default=None)))
        rows.append((f"{model}, at worst: times processes", 1.0, min(times, default=None)))
    return _table(("what", "at least", "found"), rows)


def _checks(figures: Figures) -> list[str]:
    rows = []
    for row in [*figures.rows("equality"), *figures.rows("tests")]:
        known = {k: v for k, v in row.items() if k not in ("what", "holds", "output")}
        said = ", ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in known.items())
        holds = {True: "yes", False: "**no**"}.get(row.get("holds"), _NONE)
        rows.append((row["what"], holds, said))
    return _table(("what", "holds", "found"), rows)


def _parts(parts: Parts, outcomes: Mapping[str, str]) -> list[str]:
    rows = [(name, said, len(parts.get(name, ()))) for name, said in outcomes.items()]
    lines = _table(("part", "how it ended", "measurements"), rows)
    troubles = [(name, row) for name, held in parts.items() for row in held if _trouble(row)]
    return [*lines, ""] + [f"- {name}: {_of_what(row)}: {_trouble(row)}" for name, row in troubles]


def _trouble(row: Row) -> str:
    return _shown(row.get("error") or row.get("left_out") or "")


def _of_what(row: Row) -> str:
    known: Iterator[str] = (
        _shown(value) for key, value in row.items() if key not in ("error", "left_out")
    )
    return ", ".join(known)
