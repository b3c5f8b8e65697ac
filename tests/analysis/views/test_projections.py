from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from analysis.record.folder import RunFolder
from analysis.views.optuna_log import OptunaLog
from analysis.views.projection import open_projections
from analysis.views.tensorboard import TensorBoardFiles, best_view
from search.control.coordinator import Coordinator
from spaces.problems import InputError
from tests.support import examples


def searched(folder: Path) -> Coordinator:
    """A run of your own code in every state: completed, stopped, diverged, failed and running."""
    coordinator = examples.coordinator(folder, budget={"trials": 8}, scheduler={"max_epochs": 3})
    experiment = coordinator.experiment
    coordinator.projections = open_projections(RunFolder(folder), experiment)
    for _ in range(6):
        coordinator.next_trial()
    coordinator.end(4, "failed", "Traceback")
    for number, value in ((0, 0.9), (1, 0.8), (2, 0.3)):
        epoch = 1
        while examples.report(coordinator, number, epoch, value + epoch / 100) == "continue":
            epoch += 1
    steps = [(50, 1.5), (100, 1.25)]
    coordinator.report(3, 1, {"val_accuracy": 0.95, "train_loss": 1.0, "val_loss": 2.0}, steps)
    examples.report(coordinator, 5, 1, math.nan)
    coordinator.close()
    return coordinator


STATES = ["completed", "completed", "stopped", "running", "failed", "diverged"]


def test_the_made_run_has_every_state(tmp_path: Path) -> None:
    assert [trial.state for trial in searched(tmp_path).trials] == STATES


def asked(app: Callable[..., Any], path: str) -> Any:
    """The JSON answer of a WSGI application."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    status: list[str] = []
    body = b"".join(app(environ, lambda line, headers, error=None: status.append(line)))
    assert status == ["200 OK"]
    return json.loads(body)


def test_optuna_dashboard_shows_true_states_intermediate_values_and_user_attributes(
    tmp_path: Path,
) -> None:
    coordinator = searched(tmp_path)
    log = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    app = optuna_dashboard.wsgi(log)
    (study,) = asked(app, "/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("made", ["maximize"])
    shown = asked(app, f"/api/studies/{study['study_id']}")["trials"]
    states = {
        "completed": "Complete",
        "stopped": "Pruned",
        "diverged": "Pruned",
        "failed": "Fail",
        "running": "Running",
    }
    assert [trial["state"] for trial in shown] == [states[state] for state in STATES]
    for ours, theirs in zip(coordinator.trials, shown, strict=True):
        attributes = {a["key"]: a["value"] for a in theirs["user_attrs"]}
        assert attributes["seed"] == str(ours.seed)
        assert attributes.get("state", "running") == ours.state
        values = {int(v["step"]): v["value"] for v in theirs["intermediate_values"]}
        if ours.state != "diverged":  # whose last one is the worst of the run
            assert values == {r.epoch: r.metrics["val_accuracy"] for r in ours.reports}


def test_optuna_log_tells_the_states_values_and_intermediate_values_of_the_journal(
    tmp_path: Path,
) -> None:
    coordinator = searched(tmp_path)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    study = optuna.load_study(study_name="made", storage=storage)
    complete, pruned, fail = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
    expected = [complete, complete, pruned, TrialState.RUNNING, fail, pruned]
    assert [trial.state for trial in study.trials] == expected
    for ours, theirs in zip(coordinator.trials, study.trials, strict=True):
        assert theirs.params == ours.params
        assert theirs.user_attrs["seed"] == ours.seed
        if ours.state == "diverged":
            assert theirs.value == 0.31  # the worst finite value of the run
            continue
        values = {report.epoch: report.metrics["val_accuracy"] for report in ours.reports}
        assert theirs.intermediate_values == values
    assert study.best_trial.number == 0


def test_optuna_holds_of_a_running_trial_what_its_file_says(tmp_path: Path) -> None:
    searched(tmp_path)
    views = open_projections(RunFolder(tmp_path), examples.experiment())
    (log,) = (view for view in views if isinstance(view, OptunaLog))
    read = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    running = STATES.index("running")
    held, stands = (storage.get_trial(running) for storage in (log._storage, read))
    assert held.intermediate_values
    assert held == stands


def test_no_trial_that_has_ended_stays_in_memory_for_optuna_log(tmp_path: Path) -> None:
    views = open_projections(RunFolder(tmp_path), searched(tmp_path).experiment)
    (log,) = (view for view in views if isinstance(view, OptunaLog))
    held = log._storage._replay_result._trials
    assert len(held) == len(STATES)
    assert [trial.user_attrs != {} for trial in held.values()] == [s == "running" for s in STATES]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[str]:
    """TensorBoard's own server on the made run; gives its address."""
    searched(tmp_path)
    with closing(socket.socket()) as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "tensorboard")]
    command += ["--port", str(port), "--host", "localhost", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        address = f"http://localhost:{port}/data"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if len(ask(f"{address}/runs")) == 7:
                    break
            except OSError:
                pass
            time.sleep(0.5)
        yield address
        server.terminate()


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_tensorboard_answers_with_every_trial_its_domains_metrics_and_states(board: str) -> None:
    hparams = f"{board}/plugin/hparams"
    experiment = ask(f"{hparams}/experiment", {"experimentName": ""})
    domains = {info["name"]: info for info in experiment["hparamInfos"]}
    assert domains["lr"]["domainInterval"] == {"minValue": 0.0001, "maxValue": 1.0}
    assert domains["activation"]["domainDiscrete"] == ["relu", "tanh"]
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    answer = ask(
        f"{hparams}/session_groups",
        {"experimentName": "", "allowedStatuses": statuses, "colParams": [], "sliceSize": 100},
    )
    groups = {group["name"]: group for group in answer["sessionGroups"]}
    found = [groups[str(n)]["sessions"][0].get("status", "STATUS_UNKNOWN") for n in range(6)]
    success, failure, unknown = "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_UNKNOWN"
    assert found == [success, success, success, unknown, failure, failure]
    values = {m["name"]["tag"]: m["value"] for m in groups["3"]["metricValues"]}
    assert values["val_accuracy"] == pytest.approx(0.95)
    scalars = ask(f"{board}/plugin/scalars/scalars?run=0&tag=val_accuracy")
    assert [(step, round(value, 3)) for _, step, value in scalars] == [
        (1, 0.91),
        (2, 0.92),
        (3, 0.93),
    ]
    by_step = ask(f"{board}/plugin/scalars/scalars?run=3&tag=steps/train_loss")
    assert [(step, value) for _, step, value in by_step] == [(50, 1.5), (100, 1.25)]
    texts = ask(f"{board}/plugin/text/text?run=5&tag=state")
    assert "diverged" in texts[0]["text"]


def test_the_view_of_the_best_holds_their_runs_only(tmp_path: Path) -> None:
    searched(tmp_path)
    best_view(tmp_path / "tensorboard", [3, 0], tmp_path / "view")
    assert sorted(path.name for path in (tmp_path / "view").iterdir() if path.is_dir()) == [
        "0",
        "3",
    ]
    assert len(list((tmp_path / "view" / "3").iterdir())) == 1
    best_view(tmp_path / "tensorboard", [1], tmp_path / "view")
    assert [path.name for path in (tmp_path / "view").iterdir() if path.is_dir()] == ["1"]


def test_a_view_is_brought_up_to_date_and_is_never_made_through_a_link(tmp_path: Path) -> None:
    searched(tmp_path)
    view, board = tmp_path / "view", tmp_path / "tensorboard"
    best_view(board, [3, 0], view)
    (kept,) = (view / "3").iterdir()
    before = kept.lstat().st_mtime_ns
    for file in (board / "0").iterdir():
        file.rename(file.with_name("events.later"))  # as a resumed search writes them anew
    best_view(board, [3, 0, 1], view)
    assert kept.lstat().st_mtime_ns == before
    assert [link.name for link in (view / "0").iterdir()] == ["events.later"]
    assert all(link.exists() for link in view.rglob("events.*"))
    (tmp_path / "elsewhere" / "9").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link to"):
        best_view(board, [1], tmp_path / "link")
    assert [path.name for path in (tmp_path / "elsewhere").rglob("*")] == ["9"]


def test_a_trial_is_in_its_file_as_soon_as_it_is_created(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.projections = [TensorBoardFiles(tmp_path / "board", coordinator.experiment)]
    coordinator.next_trial()
    (file,) = (tmp_path / "board" / "0").iterdir()
    assert b"_hparams_/session_start_info" in file.read_bytes()
    coordinator.close()


@pytest.mark.parametrize("choices", [[0, 0.5], [None, 1.0], [1, "auto"], [None], [True, False]])
def test_choices_of_any_types_can_be_shown(choices: list[Any], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    coordinator = examples.own_code_coordinator(tmp_path, space={"x": choices})
    coordinator.projections = open_projections(RunFolder(tmp_path), coordinator.experiment)
    for _ in range(3):
        assert coordinator.next_trial() is not None
    coordinator.close()
