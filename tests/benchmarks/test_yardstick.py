"""The yardstick: the same job for all, who runs when, what is measured, and what the page says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from benchmarks.yardstick import jobs, startup
from benchmarks.yardstick.clock import Standing, next_contender, turns
from benchmarks.yardstick.contenders.each import CONTENDERS, JOB_FILES, contenders_here
from benchmarks.yardstick.contenders.training import Training, make_network
from benchmarks.yardstick.farm import Farm, searching
from benchmarks.yardstick.jobs import JOBS, load_arrays
from benchmarks.yardstick.measured import run
from benchmarks.yardstick.races import repetition
from benchmarks.yardstick.record import Record, Row, surroundings
from benchmarks.yardstick.run import deadlines
from benchmarks.yardstick.scale import experiment_of, suggestion
from benchmarks.yardstick.shown.page import page
from benchmarks.yardstick.shown.pictures import draw_pictures
from spaces.files import load_experiment
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import load_data
from trainables.models.families import build_model, count_parameters

PARAMS = {"lr": 1e-2, "dropout": 0.2, "activation": "relu"}


@pytest.mark.parametrize("name", JOBS)
def test_shoal_and_its_rivals_are_given_the_same_job(name: str) -> None:
    job, told = JOBS[name], yaml.safe_load((JOB_FILES / f"{name}.yaml").read_text())
    assert told["budget"] == {"trials": job.trials}
    assert told["train"] == {"batch_size": jobs.BATCH_SIZE, "optimizer": "adam"}
    lr, dropout = told["space"]["lr"], told["space"]["dropout"]
    assert (float(lr["low"]), float(lr["high"]), lr["log"]) == (*jobs.LR, True)
    assert (dropout["low"], dropout["high"]) == jobs.DROPOUT
    assert told["space"]["activation"] == list(jobs.ACTIVATIONS)
    rungs = {"name": "asha", "min_epochs": 1, "reduction_factor": jobs.REDUCTION_FACTOR}
    assert told["scheduler"] == {**rungs, "max_epochs": job.max_epochs}
    config = resolve(load_experiment(JOB_FILES / f"{name}.yaml"), PARAMS, seed=0)
    assert isinstance(config, TrainConfig)
    model, _ = build_model(config.model, (job.pixels,), 10, seed=0)
    assert count_parameters(model) == count_parameters(make_network(job, PARAMS))


@pytest.mark.parametrize("name", ["digits", pytest.param("mnist", marks=pytest.mark.slow)])
def test_all_train_and_validate_on_the_same_images(
    name: str, request: pytest.FixtureRequest
) -> None:
    if name == "mnist":
        request.getfixturevalue("real_data")
    experiment = load_experiment(JOB_FILES / f"{name}.yaml")
    for seed in (0, 3):
        data = load_data(experiment.dataset, seed)
        pixels = 255 if name == "mnist" else 1
        given = load_arrays(JOBS[name], seed)
        for ours, theirs in zip((data.train, data.validation), given, strict=True):
            assert (ours.targets == theirs.classes).all()
            images = ours.inputs.reshape(len(ours), -1) / np.float32(pixels)
            np.testing.assert_allclose(images, theirs.inputs)


def test_a_rivals_training_learns() -> None:
    training = Training(JOBS["digits"], *load_arrays(JOBS["digits"], 0), PARAMS)
    first, *_, last = [training.epoch() for _ in range(4)]
    assert last > max(first, 0.85)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_tries_so_many_trials(name: str) -> None:
    if name not in contenders_here():
        pytest.skip("its package is not installed")
    row = repetition(name, "digits", trials=3, seed=0, most_seconds=500)
    assert "error" not in row, row
    assert row["trials"] == 3
    assert 3 <= row["epochs"] <= 3 * JOBS["digits"].max_epochs
    assert 0.1 < row["best"] <= 1.0
    assert 0 < row["first_result_seconds"] <= row["seconds"]
    assert row["cpu_seconds"] > 1
    assert row["memory_mib"] > 100


def test_a_contender_that_fails_is_a_row_that_says_why() -> None:
    row = repetition("optuna_alone", "no such job", trials=3, seed=0, most_seconds=60)
    assert row["error"].startswith("ended with 1: ")
    assert "KeyError: 'no such job'" in row["error"]


ORPHAN = """
import subprocess, sys, time
spin = "import time; t = time.process_time()\\nwhile time.process_time() - t < 1.5: pass"
hold = "x = bytearray(120 << 20); import time; time.sleep(999)"
child = subprocess.Popen([sys.executable, "-c", hold], start_new_session=True)
subprocess.run([sys.executable, "-c", spin])
print("child", child.pid)
"""


def test_all_processes_are_measured_and_none_is_left(tmp_path: Path) -> None:
    found = run([sys.executable, "-c", ORPHAN], 60, tmp_path / "printed")
    assert found.code == 0
    assert found.cpu_seconds > 1.0
    assert found.memory_mib > 120
    assert not psutil.pid_exists(int(found.output.split()[-1]))


def test_a_command_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    waits = ORPHAN.replace("print", "print('child', child.pid, flush=True); time.sleep(999); print")
    found = run([sys.executable, "-c", waits], 4, tmp_path / "printed")
    assert found.code is None
    assert found.seconds < 60
    assert not psutil.pid_exists(int(found.output.split()[-1]))


def test_contenders_alternate_while_the_time_lasts() -> None:
    done = {"a": 0, "b": 0, "c": 0}
    seconds = {"a": 10.0, "b": 20.0, "c": 30.0}
    left, ran = 1000.0, ""
    while True:
        standings = {name: Standing(done[name], seconds[name]) for name in done}
        name = next_contender(standings, turns([*done], min(done.values())), 3, left)
        if name is None:
            break
        ran, left = ran + name, left - seconds[name]
        done[name] += 1
    assert ran == "abcbcacab"


def test_a_slow_contender_gets_one_repetition_and_more_only_once_the_others_have_all() -> None:
    order = ["slow", "quick"]

    def chosen(slow: int, quick: int, left: float) -> str | None:
        standings = {"slow": Standing(slow, 100.0), "quick": Standing(quick, 10.0)}
        return next_contender(standings, order, 5, left)

    assert chosen(slow=0, quick=0, left=120) == "slow"
    assert chosen(slow=1, quick=1, left=139) == "quick"  # 4 quick ones take 40
    assert chosen(slow=1, quick=1, left=140) == "slow"
    assert chosen(slow=1, quick=5, left=99) is None
    assert chosen(slow=5, quick=5, left=999) is None


def test_one_that_nobody_knows_yet_is_tried_where_a_minute_is_left() -> None:
    standings = {"new": Standing(0, None)}
    assert next_contender(standings, ["new"], 5, 61) == "new"
    assert next_contender(standings, ["new"], 5, 59) is None


def test_each_part_ends_in_time_for_the_next() -> None:
    shares = {"a": 0.1, "b": 0.3, "c": 0.6}
    assert deadlines(["a", "b", "c"], shares, 100) == pytest.approx({"a": 10, "b": 40, "c": 100})
    assert deadlines(["a", "b"], shares, 100) == pytest.approx({"a": 25, "b": 100})


def test_rows_of_another_commit_do_not_count_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    record = Record(tmp_path / "made" / "rows.jsonl")
    record.add({"part": "race", "seconds": 1.0})
    with (tmp_path / "made" / "rows.jsonl").open("a") as lines:
        lines.write('{"part": "ra')
    again = Record(tmp_path / "made" / "rows.jsonl")
    assert [row["seconds"] for row in again.here(part="race")] == [1.0]
    again.rows[0]["commit"] = "another"
    assert again.here(part="race") == []
    assert len(again.anywhen(part="race")) == 1


def race_rows(**seconds: list[float]) -> list[Row]:
    """Of the digits, by contender."""
    figures = {"first_result_seconds": 1.0, "cpu_seconds": 2.0, "memory_mib": 300}
    found = {"trials": 40, "epochs": 200, "best": 0.97}
    what = {"part": "race", "job": "digits", "trials_asked": 40, "date": "2026-11-28 12:00"}
    return [
        {**what, "contender": name, "seconds": each, **figures, **found, **surroundings()}
        for name, held in seconds.items()
        for each in held
    ]


def table_row(text: str, start: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return line


def test_a_goal_that_is_missed_is_said_beside_it(tmp_path: Path) -> None:
    rows = race_rows(
        shoal_fused=[10.0, 11.0, 12.0],
        shoal_tune=[30.0],
        stock_tune=[330.0, 110.0],
        tuned_tune=[55.0],
    )
    shown = page(rows, tmp_path, tmp_path)
    stock = table_row(shown, "digits: times as fast as stock Ray Tune (Shoal, fused)")
    assert stock.endswith("| at least 20 | 20.00 | 2 | met |")
    expert = table_row(shown, "digits: times as fast as an expert's Ray Tune (Shoal, fused)")
    assert expert.endswith("| at least 3 | 5.00 | 1 | met |")
    slower = page(race_rows(shoal_auto=[12.0], stock_tune=[220.0]), tmp_path, tmp_path)
    missed = table_row(slower, "digits: times as fast as stock Ray Tune (Shoal, auto)")
    assert missed.endswith("| at least 20 | 18.33 | 1 | **missed** |")


def test_rivals_are_compared_with_the_fastest_engine_and_with_the_one_for_own_code(
    tmp_path: Path,
) -> None:
    rows = race_rows(shoal_fused=[10.0], shoal_tune=[40.0], tuned_tune=[30.0], optuna_alone=[9.0])
    shown = page(rows, tmp_path, tmp_path)
    rivals = "Ray Tune, tuned by an expert {}; Optuna alone {}."
    for engine, times in (
        ("fused (10.0 s)", ("3.00", "0.90")),
        ("tune (40.0 s)", ("0.75", "0.23")),
    ):
        assert f"- Times as long as Shoal, {engine}: {rivals.format(*times)}" in shown


def test_the_page_has_spread_and_n_and_who_is_absent_or_failed(tmp_path: Path) -> None:
    rows = race_rows(shoal_fused=[10.0, 11.0, 13.0], optuna_alone=[9.0])
    failed = {**rows[0], "contender": "stock_tune", "error": "ended with 1: no | room"}
    shown = page([*rows, {**failed, "is_late": False}], tmp_path, tmp_path)
    lines = shown.splitlines()
    ours = table_row(
        shown, "Shoal, fused | 3 | 11.0 (10.0 to 13.0) | 1.0 | 2.0 | 300 | 40 | 200 | 55 (50 to 65)"
    )
    ahead = lines.index(
        table_row(shown, "Optuna alone | 1 | 9.0 | 1.0 | 2.0 | 300 | 40 | 200 | 45")
    )
    assert ahead == lines.index(ours) - 1  # a rival that is faster stands above
    assert "| Ray Tune, stock | 0 | ended with 1: no / room |" in shown
    assert "Not measured: Shoal, tune, Shoal, inline" in shown


def scale_rows() -> list[Row]:
    tenths = [
        {
            "trials": n,
            "event_ms": 1.0 + n / 1e5,
            "report_ms": 1,
            "suggestion_ms": 2,
            "memory_mib": m,
        }
        for n, m in ((10_000, 500), (50_000, 600), (100_000, 800))
    ]
    found: list[Row] = [
        {"what": "long random 100000", "tenths": tenths},
        {"what": "efficiency tpe 10 60", "efficiency": 0.98, "report_ms": 1, "suggestion_ms": 9},
        {"what": "suggestion curves 1000", "error": "not done after 900 s"},
    ]
    given: dict[str, Any] = {"part": "scale", "date": "2026-11-28 12:00", **surroundings()}
    return [{**row, **given} for row in found]


def test_the_growth_of_a_long_search_is_told_against_its_first_tenth(tmp_path: Path) -> None:
    shown = page(scale_rows(), tmp_path, tmp_path)
    memory = table_row(shown, "100,000 trials: memory, last tenth against first")
    assert memory.endswith("| at most 1.5 | 1.60 | 1 | **missed** |")
    assert "| at most 1.5 | 1.82 | 1 | **missed** |" in shown
    assert "| curves | 1000 | not done after 900 s |" in shown


def test_a_start_is_shown_by_phase_and_one_that_failed_says_why(tmp_path: Path) -> None:
    phases = dict.fromkeys(startup.PHASES, 0.5)
    given: dict[str, Any] = {"part": "startup", "date": "2026-11-28 12:00", **surroundings()}
    rows = [
        {"what": "inline", "seconds": 4.5, "cpu_seconds": 5.2, "phases": phases, **given},
        {"what": "import search", "seconds": 0.1, "cpu_seconds": 0.1, **given},
        {"what": "tune", "error": "ended with 1: no Ray", **given},
    ]
    shown = page(rows, tmp_path, tmp_path)
    goal = table_row(shown, "first report, engine inline")
    assert goal.endswith("| at most 4 s | 4.50 s | 1 | **missed** |")
    assert "| first report, inline | 1 | 4.50 | 5.2 | 0.50 |" in shown
    assert "| import search | 1 | 0.10 | 0.1 | – |" in shown
    assert "| first report, tune | 0 | ended with 1: no Ray | – |" in shown


def test_pictures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    draw_pictures(race_rows(shoal_fused=[10.0], stock_tune=[99.0]), tmp_path)
    assert not (tmp_path / "scale.png").exists()
    draw_pictures(scale_rows(), tmp_path)
    for name in ("races", "scale"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


@pytest.mark.parametrize(("epoch_seconds", "low", "high"), [(1e6, 0.99, 1.0), (1e-6, 0.0, 0.1)])
def test_workers_wait_for_a_driver_that_is_slower_than_they(
    epoch_seconds: float, low: float, high: float, tmp_path: Path
) -> None:
    with searching(experiment_of("random", 40), tmp_path) as coordinator:
        farm = Farm(coordinator, 4, epoch_seconds)
        farm.run()
    assert low <= farm.efficiency <= high
    assert len(coordinator.trials.finished) == len(farm.suggestion_seconds) == 40
    assert len(farm.report_seconds) == coordinator.trials.epochs


def test_a_suggestion_is_timed_after_so_many_trials() -> None:
    assert suggestion("tpe", 20)["suggestion_ms"] > 0


def test_a_phase_within_another_stops_it_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(startup.time, "monotonic", lambda: now[0])
    watch = startup.Stopwatch()
    now[0] = 1.0
    with watch.phase("ray"):
        now[0] = 3.0
        with watch.phase("imports"):
            now[0] = 7.0
        now[0] = 8.0
    now[0] = 8.5
    spent = {name: seconds for name, seconds in watch.read().items() if seconds}
    assert spent == {"rest": 1.5, "ray": 3.0, "imports": 4.0}


def test_a_page_without_any_row_says_so(tmp_path: Path) -> None:
    assert "Nothing has been measured yet." in page([], tmp_path, tmp_path)
