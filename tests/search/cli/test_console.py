"""What reaches the terminal: no text of a user is markup or a control, and readers may go away."""

from __future__ import annotations

import ast
import csv
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.text import Text

from analysis.display.tables import rows_table
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from search.cli.console import Screen
from search.cli.main import main
from search.cli.progress import Progress, curve
from search.control.coordinator import Coordinator
from tests.support import examples
from tests.support.source import FILES, ROOT, imports
from trainables.checkpoints.checkpoints import Checkpoints

MARKUP, CONTROL, FORMULA = "[/red]", "\x1b]0;owned\x07\x9b2J", "=cmd()"
METRIC = f"loss[/b]{CONTROL}"
KIND = f"kind[bold]{CONTROL}"
CHOICES = [MARKUP, CONTROL, FORMULA, "@x", "-1+1", "\tx", "\r\ny"]

CODE = """
def train(config, context):
    print("[/red]")
    for epoch in range(context.epoch, context.max_epochs):
        context.save({"x": epoch})
        yield {"loss[/b]\\x1b]0;owned\\x07\\x9b2J": config["x"] + epoch}
"""


def controls(text: str) -> set[str]:
    """The characters of a text that a terminal may obey, but for the end of a line."""
    return {c for c in text if not c.isprintable() and c != "\n"}


def hostile_file(folder: Path) -> Path:
    (folder / "own[bold].py").write_text(CODE)
    data = {
        "name": "hostile",
        "question": f"{MARKUP} {CONTROL}",
        "trainable": "own[bold].py:train",
        "space": {"x": {"low": 0.0, "high": 1.0}, KIND: CHOICES},
        "baseline": {"x": 0.5, KIND: CONTROL},
        "metric": {"name": METRIC, "mode": "max"},
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 9},
        "resources": {"gpus": 0},
    }
    file = folder / "x[red].yaml"
    file.write_text(yaml.safe_dump(data))
    return file


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose names, values, logs and place are what somebody made them."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "x[bold]y[red]\x1b[31m"
    run.mkdir()
    data = yaml.safe_load(hostile_file(tmp_path).read_text())
    coordinator = examples.own_code_coordinator(
        tmp_path, run, **{**data, "trainable": f"{tmp_path}/own[bold].py:train"}
    )
    for number in range(9):
        trial = coordinator.next_trial()
        assert trial is not None
        for epoch in range(1, 4):
            if coordinator.report(number, epoch, {METRIC: number + epoch / 10}) == "stop":
                break
        if trial.state == "running":
            coordinator.end(number, "failed", f"Error: {MARKUP}{CONTROL}")
        state = {"epoch": trial.epoch, "state": {"x": 1}, "kept": None}
        checkpoints = Checkpoints(str(run / "checkpoints"), number)
        checkpoints.save(trial.epoch, {"training": state, "reports": []})
    coordinator.close()
    return run


def test_no_command_obeys_a_text_of_a_user(
    hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(hostile_file(tmp_path))
    run, bundle = str(hostile), str(tmp_path / "[/red]\x1b[31m")
    commands: list[list[str]] = [
        ["show", spec],
        ["show", spec, "--images", "x[/b].png"],
        ["search", spec, "--dry-run"],
        ["plan", spec],
        ["search", spec, "--run", run],
        ["search", f"{spec}{CONTROL}{MARKUP}"],
        ["search", spec, "--set", f"{MARKUP}{CONTROL}=3"],
        ["search", spec, "--set", f"name={MARKUP}{CONTROL}"],
        ["status", run],
        ["status", f"{MARKUP}{CONTROL}"],
        ["best", run],
        ["replay", run],
        ["rebuild", run],
        ["compare", run, "--by", KIND, "-o", "[b].png"],
        ["compare", run, "--by", f"{MARKUP}{CONTROL}"],
        *(["report", run, "--format", kind] for kind in ("html", "md", "csv", "json")),
        *(["table", run, "-o", f"[b]t.{kind}"] for kind in ("csv", "json", "parquet")),
        ["table", run, "-o", f"[/t]{CONTROL}"],
        ["export", run, "-o", bundle],
        ["export", run, "-o", bundle],
        ["train", bundle],
        ["train", bundle, "-o", run],
        ["predict", bundle, "[/x].png"],
        ["predict", run, "[/x].png"],
        ["probe", spec],
        ["clean", run],
        ["doctor", f"{MARKUP}{CONTROL}", "--address", f"{MARKUP}{CONTROL}"],
        ["resume", run, "--address", f"{MARKUP}{CONTROL}"],
        ["confirm", run, "--address", f"{MARKUP}{CONTROL}"],
        ["audit", run, "--address", f"{MARKUP}{CONTROL}"],
    ]
    for command in commands:
        code = main(command)
        captured = capsys.readouterr()
        told = captured.out + captured.err
        assert code in (0, 1, 2), command
        assert "Traceback" not in told, command
        assert controls(told) == set(), command
        assert told.strip(), command
    written = [*hostile.glob("report.*"), *Path(bundle).glob("README.md"), *tmp_path.glob("*.csv")]
    assert len(written) == 6
    for file in written:
        text = file.read_text().replace("\r\n", "\n")
        if file.suffix == ".html":  # plotly's own code has some
            text = re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)
        assert controls(text) <= {"\t"}, file


def test_a_text_is_shown_as_it_is(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["best", str(hostile), "--top", "9"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert "kind[bold]\\x1b]0;owned\\x07\\x9b2J=" in shown
    assert "loss[/b]" in shown
    assert main(["status", str(hostile)]) == 0
    assert "x[bold]y[red]\\x1b[31m: finished" in capsys.readouterr().out


def test_a_cell_of_a_csv_is_no_formula_and_a_number_is_a_number(
    hostile: Path, tmp_path: Path
) -> None:
    assert main(["table", str(hostile), "-o", str(tmp_path / "t.csv")]) == 0
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {row[name] for row in rows for name in row if name.startswith("params.kind")}
    assert not {kind[:1] for kind in kinds} & set("=+-@\t\r\n")
    cells = [cell for row in rows for cell in row.values()]
    assert all(cell[:1] not in ("=", "+", "@", "\t", "\r") for cell in cells)
    assert float(rows[0]["value"]) == pytest.approx(0.3)


def test_texts_that_are_numbers_stay_numbers_in_a_csv(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {}\n")
    space = {"x": [-1, "auto", "=1"], "y": {"low": -1.0, "high": -0.5}}
    coordinator = examples.own_code_coordinator(tmp_path, space=space)
    for number in range(12):
        coordinator.next_trial()
        coordinator.report(number, 1, {"score": -1e-7})
    coordinator.close()
    assert main(["table", str(tmp_path), "-o", str(tmp_path / "t.csv")]) == 0
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["params.x"] for row in rows} == {"-1", "auto", "'=1"}
    assert all(-1 <= float(row["params.y"]) <= -0.5 for row in rows)
    assert {row["metrics.score"] for row in rows} == {"-1e-7"}


@pytest.mark.parametrize("wrapped", [str, Text, lambda text: rows_table(["a", text], [[text, 1]])])
def test_a_screen_obeys_no_text_whatever_it_stands_in(wrapped: Any) -> None:
    stream = io.StringIO()
    screen = Screen(file=stream, force_terminal=True, width=300)
    screen.print(wrapped(f"{MARKUP}{CONTROL}:smile:\u202e"), style="bold")
    shown = stream.getvalue()
    assert "[/red]\\x1b]0;owned" in shown
    assert "\\x9b2J:smile:\\u202e" in shown
    assert "\x1b]" not in shown
    assert "\x1b[1m" in shown  # the style is ours


def test_only_the_screen_is_written_to() -> None:
    for path in FILES:
        if path.name in ("screen.py", "options.py"):
            continue
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        assert not names & {"print", "Console"}, path
        assert not any(module == "rich.markup" for module, _ in imports(path)), path


# What is shown while trainings run


def progress(folder: Path, reports: int, height: int, **changes: Any) -> tuple[Coordinator, str]:
    """What the live view shows after so many reports, in a terminal of that height."""
    coordinator = examples.coordinator(folder, **changes)
    screen = Screen(file=io.StringIO(), force_terminal=True, width=100, height=height)
    view = Progress(coordinator, RunFolder(folder), screen)
    examples.run_all(coordinator, workers=9, reports=reports)
    with screen.capture() as captured:
        screen.print(view.render())
    return coordinator, captured.get()


def test_running_trials_are_listed_with_their_last_value_and_a_curve(tmp_path: Path) -> None:
    coordinator, shown = progress(
        tmp_path, 60, height=40, scheduler={"name": "none", "max_epochs": 27}
    )
    running = [trial for trial in coordinator.trials.running.values() if trial.reports]
    assert len(running) == 9
    for trial in running:
        value = f"{trial.reports[-1].metrics['val_accuracy']:.4g}"
        line = next(line for line in shown.splitlines() if f"trial {trial.number} " in line)
        assert f"epoch {trial.epoch} " in line
        assert value in line
        assert "▁" in line
        assert "█" in line


@pytest.mark.parametrize("height", [3, 8, 11, 13])
def test_the_live_view_is_no_higher_than_the_terminal(tmp_path: Path, height: int) -> None:
    _, shown = progress(tmp_path, 60, height, scheduler={"name": "none", "max_epochs": 27})
    lines = shown.rstrip("\n").splitlines()
    listed = sum("epoch" in line and "trial " in line and "▁" in line for line in lines)
    assert len(lines) < max(height, 7)
    if listed > 0:
        assert f"and {9 - listed} more" in shown
    else:
        assert height < 10


def test_a_curve_goes_from_the_lowest_to_the_highest_and_has_gaps() -> None:
    assert curve([0.0, 0.5, 1.0]) == "▁▅█"
    assert curve([1.0, float("nan"), 0.0]) == "█ ▁"
    assert curve([2.0, 2.0]) == "▄▄"
    assert curve([float("inf")]) == " "
    assert curve([-1.7e308, 1.7e308]) == "▄▄"


# Readers that go away

SEARCH = """
import sys
from pathlib import Path
from analysis.record.folder import RunFolder
from search.cli.progress import Progress
from search.cli.console import ERR, Screen, outlive_readers
from tests.support import examples

outlive_readers()
folder = Path(sys.argv[1])
coordinator = examples.coordinator(folder)
view = Progress(coordinator, RunFolder(folder))
with view:
    print("begun", file=sys.stderr, flush=True)
    sys.stdin.readline()
    while (trial := coordinator.next_trial()) is not None:
        view.note("x" * 10_000)
        while examples.report(coordinator, trial.number, trial.epoch + 1) == "continue":
            view._shown_at = 0.0
            view.update()
ERR.print("a last word")
Screen().print("an answer")
coordinator.close()
"""


@pytest.mark.parametrize("reader", ["pipe", "terminal"])
def test_a_search_goes_on_when_nobody_reads_it_any_more(tmp_path: Path, reader: str) -> None:
    ours, theirs = os.openpty() if reader == "terminal" else os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(tmp_path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    read = b""
    while b"begun" not in read:
        read += os.read(ours, 1000)
    os.close(ours)
    process.communicate(b"go on\n", timeout=120)
    assert process.returncode == 0
    trials = Trials(read_journal(tmp_path / "journal.jsonl"))
    assert trials.ended is not None
    assert trials.ended.reason == "trials"
    assert len(trials.finished) == 12


def test_libraries_warnings_to_programmers_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn() -> None:
        for kind in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.warn(f"a {kind.__name__}", kind, stacklevel=1)

    monkeypatch.setattr("search.cli.main.app", lambda args: warn())
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["studies"]) == 0
    assert capsys.readouterr().err == "warning: a UserWarning\n"


def test_a_short_command_whose_reader_goes_away_ends_quietly(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "search.cli.main", "best", str(tmp_path), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, env=environment, stdout=writing, stderr=subprocess.PIPE, timeout=120
    )
    os.close(writing)
    assert ended.returncode == 0
    assert ended.stderr == b""


def test_streams_that_are_closed_from_the_start_are_no_error(tmp_path: Path) -> None:
    script = f'exec "{sys.executable}" -m search.cli.main status "{tmp_path}" <&- >&- 2>&-'
    coordinator = examples.coordinator(tmp_path)
    coordinator.close()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = (tmp_path / "journal.jsonl").read_bytes()
    assert subprocess.run(["bash", "-c", script], env=environment, timeout=120).returncode == 0
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_an_answer_that_a_full_disk_would_lose_is_an_error(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.close()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "search.cli.main", "status", str(tmp_path), "--json"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert ended.returncode == 1
    assert b"No space left on device" in ended.stderr
    assert b"Traceback" not in ended.stderr
