"""Whether a GPU gives what a CPU does, and a shoal what trainings by themselves do; the tests."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import torch

from benchmarks.gpu_parts.recording import Row, Setting
from benchmarks.gpu_parts.speeds import Measurements
from benchmarks.gpu_parts.subjects import SUBJECTS
from trainables.models.noise import Noise
from trainables.shoal.shoal import Shoal
from trainables.training import Training

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
LIMITS = {torch.float64: 1e-8, torch.float32: 1e-4}
_LANES = 12
_MOST_CHARACTERS = 4000  # of what pytest printed


def equality(setting: Setting) -> Measurements:
    """Dropout masks, and losses of an epoch as a shoal and one by one."""
    device = torch.device(setting.device)
    yield {"what": "dropout masks as on the CPU"}, partial(_compare_masks, device)
    for kind in LIMITS:
        what = {"what": f"losses of a shoal as by themselves, {str(kind).partition('.')[2]}"}
        yield what, partial(_compare_losses, setting, kind)


def _compare_masks(device: torch.device) -> Row:
    rate, shape = torch.tensor(0.3, dtype=torch.float64), torch.Size((64, 1000))
    noise, differing = Noise(seed=7), 0
    for noise.step in (0, 1, 1000):
        masks = [noise.keep_mask(shape, each, rate, 2).cpu() for each in (CPU, device)]
        differing += int((masks[0] != masks[1]).sum())
    return {"differing": differing, "holds": differing == 0}


def _compare_losses(setting: Setting, kind: torch.dtype) -> Row:
    subject, device = SUBJECTS[0], torch.device(setting.device)
    configs, data = subject.configs(setting, _LANES), subject.data(setting)
    with _default_kind(kind):
        shoal = Shoal(configs[0], data, device, _LANES)
        for lane, config in enumerate(configs):
            shoal.admit(lane, config)
        ours = shoal.train_epoch()
        difference = 0.0
        for lane, config in enumerate(configs):
            alone = next(Training(config, data, device)).metrics["train_loss"]
            found = ours[lane].metrics["train_loss"]
            difference = max(difference, abs(found - alone) / abs(alone))
    row = {"limit": LIMITS[kind], "holds": difference <= LIMITS[kind]}
    return row | ({"largest_difference": difference} if math.isfinite(difference) else {})


@contextmanager
def _default_kind(kind: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def gpu_tests(setting: Setting) -> Measurements:
    """Those marked ``gpu`` that need no Ray; where there is no GPU, they skip themselves."""
    for chosen in ("not compile", "compile")[: 1 if setting.is_quick else 2]:  # the slow ones last
        yield {"what": f"pytest -m gpu -k '{chosen}'"}, partial(_run_tests, chosen)


def _run_tests(chosen: str) -> Row:
    """Run those whose names fit, without the settings that all tests share, which need Ray."""
    places = sorted((ROOT / "tests" / "trainables").rglob("test_*.py"))
    files = [str(file) for file in places if "mark.gpu" in file.read_text("utf-8")]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = Path(folder, "report.xml")
        options = ["--noconftest", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, "-m", "gpu", "-k", chosen, *files]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError((ended.stdout + ended.stderr)[-_MOST_CHARACTERS:])
        row = _summary(ElementTree.parse(report).getroot())
    return row if ended.returncode == 0 else row | {"output": ended.stdout[-_MOST_CHARACTERS:]}


def _summary(report: ElementTree.Element) -> Row:
    """What became of the tests, by a report that pytest has written itself."""
    cases = list(report.iter("testcase"))
    marks = [{child.tag for child in case} for case in cases]
    bad = [
        str(case.get("name"))
        for case, mark in zip(cases, marks, strict=True)
        if mark & {"failure", "error"}
    ]
    skipped = sum("skipped" in mark for mark in marks)
    passed = len(cases) - skipped - len(bad)
    holds = None if skipped == len(cases) else not bad
    return {"passed": passed, "skipped": skipped, "failed": bad, "holds": holds}
