"""What a figure must be read with: the machine, the versions, the mean and its spread."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def describe_machine(packages: Sequence[str]) -> dict[str, object]:
    """CPU model, cores, load (processes that wanted a core over the last minute), versions.

    Args:
        packages: whose versions a result depends on.
    """
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version(), **versions},
    }


def _cpu_model() -> str:
    """The model that Linux names, with family, model and stepping where the name is bare."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    first = cpuinfo.read_text().split("\n\n")[0]
    facts = dict(line.split(":", 1) for line in first.splitlines() if ":" in line)
    known = {name.strip(): value.strip() for name, value in facts.items()}
    name = known.get("model name", platform.machine())
    return f"{name}, family {known.get('cpu family', '?')}, model {known.get('model', '?')}"


def summarize(values: Sequence[float], digits: int = 3) -> dict[str, float | int]:
    """n, mean, standard deviation, lowest, median, 95th percentile and highest of some timings."""
    ranked = sorted(values)
    figures = {
        "mean": statistics.fmean(ranked),
        "sd": statistics.stdev(ranked) if len(ranked) > 1 else 0.0,
        "min": ranked[0],
        "median": statistics.median(ranked),
        "p95": ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))],
        "max": ranked[-1],
    }
    return {"n": len(ranked), **{name: round(value, digits) for name, value in figures.items()}}
