"""Damaged experiment files, journals and bundles: each is loaded, or refused with one message."""

from __future__ import annotations

import io
import os
import random
import resource
import shutil
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console

from analysis.display.tables import best_table
from analysis.record.folder import RunFolder, best_of, experiment_of, open_run, status_of
from analysis.record.journal import Journal
from analysis.record.reruns import Reruns
from analysis.report.build import WRITERS, build_report
from analysis.verdict.confirmation import confirmation_of
from analysis.views.projection import open_projections
from search.cli.options import print_json
from search.cli.render import print_description, print_status
from search.control.coordinator import Coordinator
from search.control.sampler import Sampler
from search.export.bundle import export_best
from search.export.inference import load_model
from search.export.retrain import read_config
from search.rerun.audit_findings import audit_result
from search.rerun.replay import replay_run
from search.tools.describe import describe_experiment
from spaces.checks import parse_experiment
from spaces.files import load_experiment, read_mapping, save_experiment
from spaces.problems import InputError
from spaces.training_config import resolve
from tests.support import damage

CASES = {"experiments": 4500, "changes": 500, "journals": 4000, "bundles": 1500, "checkpoints": 500}
QUICK = 20  # the default run takes one case in so many
SECONDS = 30.0  # a case that takes longer hangs (the slowest needs one, on a machine that is free)
MEGABYTES = 1500  # a case that asks for more explodes
LONGEST_MESSAGE = 4000

pytestmark = pytest.mark.edits_journals


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def _no_five_megabytes_in_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")


Write = Callable[[random.Random, Path], None]
Load = Callable[[Path], object]


def _out() -> Console:
    return Console(file=io.StringIO(), highlight=False)  # as at the command line


def show(folder: Path) -> None:
    """Everything that follows from a file before something is trained."""
    change = folder / "change"
    changes = [change.read_text()] if change.exists() else []
    experiment = load_experiment(folder / "file.yaml", changes)
    print_json(experiment.plain())
    print_description(describe_experiment(experiment), _out())
    sampler = Sampler(experiment)
    for number in range(2):
        sampler.ask(number)
    if experiment.baseline is not None:
        resolve(experiment, experiment.baseline, seed=0)
    save_experiment(experiment, folder / "saved.yaml")
    assert read_mapping(folder / "saved.yaml") == experiment.plain()


def look(folder: Path) -> None:
    """``shoal status`` and ``shoal best``."""
    run, experiment, trials = open_run(folder)
    status = status_of(run, experiment, trials, live=False)
    rows = best_of(trials, experiment.metric, top=5)
    print_json([status, rows])
    out = _out()
    print_status(status, experiment.metric, out)
    out.print(best_table(rows, experiment.metric))


def tell(folder: Path) -> None:
    """``shoal report``, in every format."""
    reruns = Reruns()
    run, experiment, trials = open_run(folder, reruns.apply)
    found = confirmation_of(experiment, trials, reruns)
    audit = audit_result(experiment, trials, reruns)
    report = build_report(run, experiment, trials, confirmation=found, audit=audit)
    for content in WRITERS.values():
        content(report)


def repeat(folder: Path) -> None:
    """``shoal replay``, with and without proposals."""
    run, experiment, _ = open_run(folder)
    replay_run(run, experiment)
    replay_run(run, experiment, proposals=experiment.sampler.name != "gp")


def go_on(folder: Path) -> None:
    """``shoal resume``, up to where something would be trained."""
    run, copy = RunFolder(folder), RunFolder(folder.with_name("copy"))
    shutil.rmtree(copy.path, ignore_errors=True)
    copy.path.mkdir()
    experiment = parse_experiment(experiment_of(run).plain())
    shutil.copy(run.journal_file, copy.journal_file)
    with closing(Journal(copy.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        coordinator.resume(trials=2)
        coordinator.projections = open_projections(copy, experiment)
        while (trial := coordinator.next_trial()) is not None and trial.epoch:
            resolve(experiment, trial.params, trial.seed)
        coordinator.close("interrupted")


def rebuild(folder: Path) -> None:
    """``shoal rebuild``."""
    run, experiment, _ = open_run(folder)
    for projection in open_projections(run, experiment):
        projection.close()


def export(folder: Path) -> None:
    """``shoal export``."""
    target = folder.with_name("target")
    shutil.rmtree(target, ignore_errors=True)
    export_best(folder, target, with_programs=False)  # its making takes seconds


@contextmanager
def _limits() -> Iterator[None]:
    """A hang, and a hunger for memory, become exceptions."""

    def stop(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"took longer than {SECONDS} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    kind = resource.RLIMIT_DATA
    limits = resource.getrlimit(kind)
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        used = int(status.partition("VmData:")[2].split()[0]) * 1024
        resource.setrlimit(kind, (used + MEGABYTES * 2**20, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(kind, limits)


def outcome(load: Load, folder: Path) -> str:
    """Load a case; returns ``loaded`` or ``refused``, and lets any other exception out."""
    try:
        with _limits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(folder)
    except InputError as error:
        told = str(error)
        assert told.strip(), "a message says something"
        assert len(told) <= LONGEST_MESSAGE, f"a message is short, not {told}"
        assert "Traceback" not in told
        return "refused"
    return "loaded"


def fuzz(kind: str, folder: Path, write: Write, *loads: Load, step: int) -> Counter[str]:
    """Damage and load one case in ``step``; returns how many the first loader took or refused.

    The case of a number is the same in every run, but for paths; one that fails is left behind.
    """
    counts: Counter[str] = Counter()
    case = folder / "case"
    for number in range(0, CASES[kind], step):
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        write(random.Random(f"{kind} {number}"), case)
        for load in loads:
            try:
                result = outcome(load, case)
            except BaseException as error:
                what = f"{load.__name__}, case {number} of {kind}, left in {case}"
                error.add_note(f"{what}:\n{_content(case)}")
                raise
            counts[result] += load is loads[0]
    return counts


def _content(folder: Path) -> str:
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.stat().st_size]
    return "\n".join(f"{file.name}: {file.read_bytes()[:2000]!r}" for file in files)


SHARES = pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(QUICK, id="some")]
)


def check(kind: str, step: int, counts: Counter[str]) -> None:
    """That the cases were as many as they should be, and neither all whole nor all broken."""
    print(f"{kind}: {counts['loaded']} loaded, {counts['refused']} refused")
    cases = len(range(0, CASES[kind], step))
    assert counts.total() == cases
    assert min(counts.values()) >= cases // 50


def test_there_are_ten_thousand_cases() -> None:
    assert sum(CASES.values()) >= 10_000


@pytest.mark.parametrize("data", damage.EXPERIMENTS, ids=lambda data: str(data["name"]))
def test_what_is_not_damaged_is_loaded(data: damage.Data, tmp_path: Path) -> None:
    damage.write_whole(data, tmp_path)
    assert outcome(show, tmp_path) == "loaded"


def test_runs_and_bundles_that_are_not_damaged_are_loaded(tmp_path: Path) -> None:
    for run in damage.make_runs(tmp_path):
        assert {outcome(load, run) for load in (look, tell, repeat, go_on, rebuild, export)} == {
            "loaded"
        }
    for bundle in damage.make_bundles(tmp_path):
        experiment = bundle.with_name(bundle.name.replace("bundle", "source")) / "file.yaml"
        own_code = load_experiment(experiment).trainable is not None
        assert outcome(lambda folder: read_config(folder, []), bundle) == "loaded"
        assert outcome(load_model, bundle) == ("refused" if own_code else "loaded")


@SHARES
def test_a_damaged_experiment_is_shown_or_refused(step: int, tmp_path: Path) -> None:
    counts = fuzz("experiments", tmp_path, damage.write_experiment, show, step=step)
    check("experiments", step, counts)


@SHARES
def test_a_damaging_change_is_taken_or_refused(step: int, tmp_path: Path) -> None:
    counts = fuzz("changes", tmp_path, damage.write_change, show, step=step)
    check("changes", step, counts)


@SHARES
def test_a_damaged_journal_is_opened_or_refused(step: int, tmp_path: Path) -> None:
    runs = damage.make_runs(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_journal(rng, folder, runs)

    loads = (look, tell, repeat, go_on, rebuild, export)
    check("journals", step, fuzz("journals", tmp_path, write, *loads, step=step))


@SHARES
def test_weights_are_taken_from_whole_checkpoints_only(step: int, tmp_path: Path) -> None:
    runs = damage.make_runs(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_checkpoints(rng, folder, runs)

    check("checkpoints", step, fuzz("checkpoints", tmp_path, write, export, step=step))


@SHARES
def test_a_damaged_bundle_is_opened_or_refused(step: int, tmp_path: Path) -> None:
    bundles = damage.make_bundles(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_damaged_bundle(rng, folder, bundles)

    def read(folder: Path) -> object:
        return read_config(folder, [])

    check("bundles", step, fuzz("bundles", tmp_path, write, read, load_model, step=step))
