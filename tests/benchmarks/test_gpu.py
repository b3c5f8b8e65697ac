"""The measurements for a GPU, tried on a CPU: all but CUDA itself."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from benchmarks.gpu_parts.page import Figures, page
from benchmarks.gpu_parts.recording import Limits, Row, Setting, read_rows, run_part
from benchmarks.gpu_parts.roof import work_of_step
from benchmarks.gpu_parts.subjects import SUBJECTS
from benchmarks.rates import Processes

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "numpy", "pydantic", "optuna", "pytest")
REAL = Setting("cuda", is_quick=False)
QUICK = Setting("cpu", is_quick=True)

# what Python runs before anything else: other packages are not there, as if never installed
BLOCKER = """
import sys
from importlib.machinery import PathFinder

BLOCKED = frozenset({blocked!r})

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in BLOCKED else PathFinder.find_spec(name, path)

    invalidate_caches = PathFinder.invalidate_caches
    find_distributions = PathFinder.find_distributions

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""


def normal(name: str) -> str:
    """The name of a distribution as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions_of(packages: tuple[str, ...]) -> set[str]:
    """The names of packages and of all that they require."""
    found: set[str] = set()
    ahead = [*packages]
    while ahead:
        name = normal(ahead.pop())
        if name in found:
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # of another platform
            continue
        found.add(name)
        ahead += [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    return found


def run(folder: Path, *options: str, blocked: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run the program where there is nothing but what it may need; returns what it wrote."""
    kept = {"shoal", *distributions_of(PACKAGES)}
    installed = importlib.metadata.packages_distributions().items()
    others = {top for top, held in installed if kept.isdisjoint(map(normal, held))}
    assert {"ray", "sklearn", "pyarrow", "PIL", "torchvision", "safetensors"} <= others
    assert others.isdisjoint(PACKAGES)
    (folder / "sitecustomize.py").write_text(BLOCKER.format(blocked=sorted({*others, *blocked})))
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--quick"]
    absent = {"PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ended = subprocess.run(
        [*command, "--out", str(folder / "out"), *options],
        cwd=ROOT,
        env={**os.environ, **absent, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (folder / "out" / "gpu.md").read_text() in ended.stdout
    found: dict[str, Any] = json.loads((folder / "out" / "gpu.json").read_text())
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the parts that take no minute on a CPU have found, in their order."""
    parts = ("machine", "arithmetic", "one by one", "shoals", "unrecorded", "processes", "equality")
    return run(tmp_path_factory.mktemp("gpu"), "--parts", *parts)


def test_it_needs_only_the_packages_that_it_names_and_no_measurement_fails(
    found: dict[str, Any],
) -> None:
    assert set(found["outcomes"].values()) == {"done"}
    rows = [row for held in found["parts"].values() for row in held]
    assert [row for row in rows if "error" in row or "left_out" in row] == []
    assert {row["model"] for row in rows if "rate" in row} == {each.name for each in SUBJECTS}
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_every_network_has_its_rates(found: dict[str, Any]) -> None:
    figures = Figures(found["parts"])
    for subject in SUBJECTS:
        assert figures.rate("one by one", model=subject.name, precision="bfloat16") is not None
        beside = [row["processes"] for row in figures.rows("processes", model=subject.name)]
        assert beside == [1, 2]
        shoals = figures.rows("shoals", model=subject.name, precision="float32")
        assert shoals
        assert figures.rows("shoals", model=subject.name, precision="bfloat16")[0]["rate"]
        for row in shoals:
            assert min(figures.against(row)) > 0
    assert all(row["holds"] for row in figures.rows("equality"))


def test_the_page_says_that_it_was_a_cpu(found: dict[str, Any]) -> None:
    shown = page(found["parts"], found["outcomes"], found["device"])
    assert "nothing here says anything of a GPU" in shown
    assert "| MLP 784-512-10 | float32 | 2 |" in shown
    for row in found["parts"]["unrecorded"]:
        assert f"| {row['model']} | 2 | {row['rate']['median']:.3g}"[:-1] in shown
    assert "Run on a CPU" not in page(found["parts"], found["outcomes"], "cuda")


@pytest.mark.slow
def test_the_tests_for_a_gpu_can_be_imported_without_ray(tmp_path: Path) -> None:
    found = run(tmp_path, "--parts", "tests", "compiled", "--minutes", "5")
    (row,) = found["parts"]["tests"]
    assert row.get("failed") == [], row
    assert row["skipped" if not torch.cuda.is_available() else "passed"] > 10
    assert found["outcomes"]["compiled"] == "done"


@pytest.mark.slow
def test_it_goes_on_after_a_part_that_fails(tmp_path: Path) -> None:
    found = run(tmp_path, "--parts", "tests", "arithmetic", blocked=("pytest",))
    assert "No module named pytest" in found["parts"]["tests"][0]["error"]
    assert len(found["parts"]["arithmetic"]) == len(SUBJECTS)


def measurements(setting: Setting) -> Iterator[tuple[Row, Callable[[], Row]]]:
    """One that fails, one that is no JSON, a sound one; and then the part itself fails."""
    yield {"number": 1}, lambda: {"value": 1 / 0}
    yield {"number": 2}, lambda: {"value": float("nan")}
    yield {"number": 3}, lambda: {"value": 3}
    raise OSError("no process")


def crashing(setting: Setting) -> Iterator[tuple[Row, Callable[[], Row]]]:
    yield {"number": 1}, lambda: {"value": 1}
    yield {"number": 2}, lambda: os._exit(7)  # type: ignore[arg-type, return-value]


def hanging(setting: Setting) -> Iterator[tuple[Row, Callable[[], Row]]]:
    def wait_for_a_child() -> Row:
        subprocess.run(["sleep", "1234.5"], check=True)
        return {}

    yield {"number": 1}, lambda: {"value": 1}
    yield {"number": 2}, wait_for_a_child


def limits(begin_none: float, end: float) -> Limits:
    """In so many seconds from now."""
    now = time.monotonic()
    return Limits(now + begin_none, now + end)


@pytest.mark.parametrize("setting", [QUICK, pytest.param(REAL, marks=pytest.mark.slow)])
def test_a_measurement_that_fails_leaves_the_others(tmp_path: Path, setting: Setting) -> None:
    file = tmp_path / "rows"
    outcome = run_part(measurements, setting, file, limits(500, 600))
    assert outcome == "failed: its process ended with 1"
    first, second, third, last = read_rows(file)
    assert first == {"number": 1, "error": "ZeroDivisionError: division by zero"}
    assert second["error"].startswith("ValueError: Out of range float values")
    assert third == {"number": 3, "value": 3}
    assert last == {"error": "OSError: no process"}


def test_a_part_that_crashes_leaves_what_it_had(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    outcome = run_part(crashing, QUICK, file, limits(500, 600))
    assert outcome == "failed: its process ended with 7"
    assert read_rows(file) == [{"number": 1, "value": 1}]


def test_a_part_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    outcome = run_part(hanging, QUICK, file, limits(500, 2))
    assert outcome == "stopped: its time was over"
    assert read_rows(file) == [{"number": 1, "value": 1}]
    running = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "1234.5"] not in running


def test_a_measurement_for_which_no_time_is_left_does_not_begin(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    assert run_part(crashing, QUICK, file, limits(-1, 600)) == "done"
    assert [row["left_out"] for row in read_rows(file)] == ["no time was left"] * 2


def test_rows_that_were_cut_off_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    assert read_rows(file) == []
    file.write_text('{"number": 1}\n{"numb')
    assert read_rows(file) == [{"number": 1}]


def test_the_work_of_a_step_is_that_of_its_layers() -> None:
    """A perceptron's by hand: no gradient goes to the inputs."""
    work = work_of_step(SUBJECTS[1], REAL)
    inputs, hidden, outputs, batch = 784, 512, 10, 32
    multiplied = batch * (2 * inputs * hidden + 3 * hidden * outputs)
    last = hidden * outputs + outputs
    parameters = inputs * hidden + hidden + last
    assert work["parameters"] == parameters
    assert (work["linear_flop"], work["conv_flop"]) == (2 * multiplied, 0)
    moved = 9 * parameters + last + batch * inputs + 5 * batch * (hidden + outputs)
    assert work["bytes"] == 4 * moved


def test_the_networks_are_those_of_the_names() -> None:
    for subject in SUBJECTS:
        name, _, count = subject.name.partition(" of ")
        work = work_of_step(subject, REAL)
        assert (work["conv_flop"] > 0) == (name == "convnet")
        if count:
            assert f"{work['parameters']:,}" == count


def test_a_shoal_is_set_against_the_best_of_all_and_its_roofline() -> None:
    same = {"model": "convnet of 813,802", "precision": "float32"}
    parts = {
        "machine": [
            {"what": "device", "convolutions_in_tf32": True},
            {"what": "copy", "bytes_per_second": 1e12},
            {"what": "matrices", "precision": "float32", "flop_per_second": 1e13},
            {"what": "matrices", "precision": "tf32", "flop_per_second": 1e14},
        ],
        "arithmetic": [{**same, "linear_flop": 1e9, "conv_flop": 2e10, "bytes": 1e8}],
        "one by one": [{**same, "compile": False, "rate": {"median": 2.0}}],
        "processes": [
            {**same, "processes": count, "rate": {"median": rate}}
            for count, rate in ((1, 2.0), (2, 3.0), (4, 2.5))
        ],
    }
    shoal = {**same, "lanes": 8, "rate": {"median": 12.0}, "seconds_per_step": 0.006}
    figures = Figures(parts)
    assert figures.roofline_seconds(same["model"], "float32", 8) == pytest.approx(8 * 3e-4)
    assert figures.share(shoal) == pytest.approx(0.4)
    assert figures.against(shoal) == (6.0, 4.0)
    parts["arithmetic"][0]["bytes"] = 1e9  # now memory is what takes longest
    assert figures.roofline_seconds(same["model"], "float32", 8) == pytest.approx(8e-3)
    shown = page({**parts, "shoals": [shoal]}, {"shoals": "done"}, "cuda")
    assert "| float32 | 8 | 12 | 6 | 4 | 6 | 8 | 1.33 | – |" in shown
    assert "convnet of 813,802, at worst: times processes | 1 | 4 |" in shown


def test_a_page_of_nothing_claims_nothing() -> None:
    shown = page({}, {"machine": "failed: its process ended with 1"}, "cuda")
    assert "| MLP 784-512-10, 64 lanes: times one by one | 40 | – |" in shown
    assert "| machine | failed: its process ended with 1 | 0 |" in shown


def test_what_fails_in_one_of_several_processes_is_told_and_they_go_on() -> None:
    subject, device = SUBJECTS[0], torch.device("cpu")
    good = subject.configs(QUICK, 2)
    bad = good[1].model_copy(update={"train": good[1].train.model_copy(update={"crop": 99})})
    data = subject.data(QUICK)
    with Processes(2, "fork") as held:
        with pytest.raises(Exception, match=r"train.crop: must be below the side"):
            held.rates([good[0], bad], data, device, 2, 1)
        assert held.rates(good, data, device, 2, 3)[2] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--minutes", "nan"], "--minutes must be above 0, got nan"),
        (["--parts", "shoal"], "invalid choice: 'shoal'"),
    ],
)
@pytest.mark.slow
def test_a_mistake_in_a_flag_is_told(options: list[str], message: str) -> None:
    command = [sys.executable, "benchmarks/gpu.py", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
