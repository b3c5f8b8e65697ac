"""All measurements and tests of a GPU that need no Ray, in --minutes: JSON, and a page.

The GPU's own speed, trainings one by one, in processes that share it, compiled, and as shoals, with
the arithmetic beside it; whether the GPU gives what a CPU does; ``pytest -m gpu``. Needs torch,
numpy, pydantic, optuna and pytest, and nothing else; Shoal need not be installed.

Each part has a process of its own, and a share of the time. One that fails, or takes too long, is
noted, and the next begins; a measurement that fails is noted within its part. After each part
gpu.json and gpu.md are written anew.

    python benchmarks/gpu.py [--minutes 8] [--out gpu]
    python benchmarks/gpu.py --device cpu --quick     tries the program where there is no GPU
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

BEGUN = time.monotonic()  # what is imported takes of the time, too
sys.path[0] = str(Path(__file__).resolve().parents[1])  # Shoal itself, not this folder

import optuna  # noqa: E402
import torch  # noqa: E402
import torch._dynamo  # noqa: E402 - or each part's process would wait for it

from benchmarks.gpu_parts import checks, roof, speeds  # noqa: E402
from benchmarks.gpu_parts.page import page  # noqa: E402
from benchmarks.gpu_parts.recording import (  # noqa: E402
    Limits,
    Part,
    Row,
    Setting,
    read_rows,
    run_part,
)
from benchmarks.hardware import describe_machine  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.WARNING)  # here: each process imports this file


class Share(NamedTuple):
    """A part, and its share of the time; what it leaves is there for those behind it."""

    part: Part
    share: float


PARTS = {
    "machine": Share(roof.machine, 0.05),
    "arithmetic": Share(roof.arithmetic, 0.03),
    "one by one": Share(speeds.one_by_one, 0.17),
    "shoals": Share(speeds.shoals, 0.24),
    "unrecorded": Share(speeds.unrecorded, 0.03),
    "processes": Share(speeds.processes, 0.17),
    "equality": Share(checks.equality, 0.05),
    "tests": Share(checks.gpu_tests, 0.13),
    "compiled": Share(speeds.compiled, 0.1),
}
_SLACK = 0.03  # of the whole time, for a measurement that has begun


def run(names: list[str], setting: Setting, minutes: float, folder: Path) -> str:
    """Run the parts, and write what they find; returns the page."""
    begun = time.monotonic()
    seconds = 60 * minutes - (begun - BEGUN)
    whole = sum(PARTS[name].share for name in names) + _SLACK
    parts: dict[str, list[Row]] = {}
    outcomes: dict[str, str] = {}
    until = 0.0
    for name in names:
        part, share = PARTS[name]
        until += share / whole
        limits = Limits(begun + seconds * until, begun + seconds * (until + _SLACK / whole))
        file = folder / f"{name.replace(' ', '-')}.jsonl"
        file.unlink(missing_ok=True)
        outcomes[name] = run_part(part, setting, file, limits)
        parts[name] = read_rows(file)
        print(f"{name}: {outcomes[name]}, {time.monotonic() - BEGUN:.0f} s", flush=True)
        shown = page(parts, outcomes, setting.device)
        found = {"benchmark": "gpu", "device": setting.device, "outcomes": outcomes, "parts": parts}
        machine = describe_machine(["torch", "numpy", "pydantic", "optuna"])
        (folder / "gpu.json").write_text(json.dumps({**found, **machine}, indent=1) + "\n")
        (folder / "gpu.md").write_text(shown)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of the results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], metavar="PART")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the program")
    options = parser.parse_args()
    if not options.minutes > 0:
        parser.error(f"--minutes must be above 0, got {options.minutes:g}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that PyTorch can use; --device cpu --quick tries the program")
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # of forks, too
    setting = Setting(options.device, options.quick)
    print(run(options.parts, setting, options.minutes, options.out))


if __name__ == "__main__":
    main()
