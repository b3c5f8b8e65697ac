"""Damaged experiment files, journals and bundles: each is loaded, or refused with one message."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from analysis.display.tables import best_table
from analysis.record.folder import RunFolder, best_of, experiment_of, open_run, status_of
from analysis.record.journal import Journal
from analysis.record.reruns import Reruns
from analysis.report.build import WRITERS, build_report
from analysis.verdict.confirmation import confirmation_of
from analysis.views.projection import open_projections
from search.cli.options import print_json
from search.cli.render import print_status
from search.control.coordinator import Coordinator
from search.export.bundle import export_best
from search.export.inference import load_model
from search.export.retrain import read_config
from search.rerun.audit_findings import audit_result
from search.rerun.replay import replay_run
from spaces.checks import parse_experiment
from spaces.files import load_experiment
from spaces.training_config import resolve
from tests.support import damage
from tests.support.outcomes import Load, console, outcome, show

CASES = {"experiments": 4500, "changes": 500, "journals": 4000, "bundles": 1500, "checkpoints": 500}
QUICK = 40  # the default run takes one case in so many

pytestmark = pytest.mark.edits_journals


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def _no_five_megabytes_in_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")


Write = Callable[[random.Random, Path], None]
Share = Callable[[str], Sequence[int]]  # the numbers of the cases of a kind


def some(kind: str) -> Sequence[int]:
    """The cases of the default run."""
    return range(0, CASES[kind], QUICK)


def others(kind: str) -> Sequence[int]:
    """All that the default run leaves out."""
    return [number for number in range(CASES[kind]) if number % QUICK]


SHARES = pytest.mark.parametrize("share", [some, pytest.param(others, marks=pytest.mark.slow)])


def look(folder: Path) -> None:
    """``shoal status`` and ``shoal best``."""
    run, experiment, trials = open_run(folder)
    status = status_of(run, experiment, trials, live=False)
    rows = best_of(trials, experiment.metric, top=5)
    print_json([status, rows])
    out = console()
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


def fuzz(kind: str, folder: Path, write: Write, *loads: Load, share: Share) -> Counter[str]:
    """Damage and load a share of the cases; returns how many the first loader took or refused.

    The case of a number is the same in every run, but for paths; one that fails is left behind.
    """
    counts: Counter[str] = Counter()
    case = folder / "case"
    for number in share(kind):
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


def check(kind: str, share: Share, counts: Counter[str]) -> None:
    """That the cases were as many as they should be, and neither all whole nor all broken."""
    print(f"{kind}: {counts['loaded']} loaded, {counts['refused']} refused")
    assert counts.total() == len(share(kind))
    assert min(counts.values()) >= counts.total() // 50


def test_there_are_ten_thousand_cases_and_each_is_run_once() -> None:
    numbers = {kind: sorted([*some(kind), *others(kind)]) for kind in CASES}
    assert numbers == {kind: list(range(count)) for kind, count in CASES.items()}
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
def test_a_damaged_experiment_is_shown_or_refused(share: Share, tmp_path: Path) -> None:
    counts = fuzz("experiments", tmp_path, damage.write_experiment, show, share=share)
    check("experiments", share, counts)


@SHARES
def test_a_damaging_change_is_taken_or_refused(share: Share, tmp_path: Path) -> None:
    counts = fuzz("changes", tmp_path, damage.write_change, show, share=share)
    check("changes", share, counts)


@SHARES
def test_a_damaged_journal_is_opened_or_refused(share: Share, tmp_path: Path) -> None:
    runs = damage.make_runs(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_journal(rng, folder, runs)

    loads = (look, tell, repeat, go_on, rebuild, export)
    check("journals", share, fuzz("journals", tmp_path, write, *loads, share=share))


@SHARES
def test_weights_are_taken_from_whole_checkpoints_only(share: Share, tmp_path: Path) -> None:
    runs = damage.make_runs(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_checkpoints(rng, folder, runs)

    check("checkpoints", share, fuzz("checkpoints", tmp_path, write, export, share=share))


@SHARES
def test_a_damaged_bundle_is_opened_or_refused(share: Share, tmp_path: Path) -> None:
    bundles = damage.make_bundles(tmp_path)

    def write(rng: random.Random, folder: Path) -> None:
        damage.write_damaged_bundle(rng, folder, bundles)

    def read(folder: Path) -> object:
        return read_config(folder, [])

    check("bundles", share, fuzz("bundles", tmp_path, write, read, load_model, share=share))
