"""Somebody's own training code: a generator that yields metrics and may save its state."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search.export.weights import tensors_in
from spaces import InputError
from spaces.training_config import CodeConfig
from trainables.checkpoints.checkpoints import Checkpoints, StorageError
from trainables.reports import EpochReport
from trainables.user_code.files import OwnFolder
from trainables.user_code.training import CodeTraining

COUNTER = """
import random, numpy, torch

def train(config, context):
    weight = torch.zeros(1) if context.state is None else context.state["weight"]
    for epoch in range(context.epoch, context.max_epochs):
        weight += config["rate"]
        if (epoch + 1) % config.get("save_every", 1) == 0:
            context.save({"weight": weight})
        yield {"epoch_trained": epoch + 1, "weight": weight}

def never_saves(config, context):
    for epoch in range(1, 5):
        yield {"epoch_trained": epoch}

def draws(config, context):
    yield {"python": random.random(), "numpy": numpy.random.rand(), "torch": torch.rand(())}

def tells(config, context):
    yield {"seed": context.seed, "max_epochs": context.max_epochs, "gpus": len(context.gpu_ids)}

def cleans_up(config, context):
    try:
        yield {"loss": 1.0}
        yield {"loss": 0.5}
    finally:
        open(config["file"], "w").close()

def yields(config, context):
    yield eval(config["what"])

def saves_an_object(config, context):
    context.save({"bad": train})
    yield {"loss": 1.0}

def returns(config, context):
    return {"loss": numpy.float64(1.0)}

def returns_before_it_yields(config, context):
    if context.max_epochs:
        return {"loss": 1.0}
    yield

def returns_at_its_end(config, context):
    yield {"loss": 1.0}
    return {"loss": 2.0}

def gives_up(config, context):
    return 0.5

def saves_numpy(config, context):
    seen = [] if context.state is None else context.state["seen"]
    best = numpy.inf if context.state is None else context.state["best"]
    for epoch in range(context.epoch, context.max_epochs):
        seen.append(numpy.full(2, epoch))
        best = min(best, numpy.float64(epoch - 9.5))
        context.save({"seen": seen, "best": best})
        yield {"rows": len(seen), "sum": numpy.sum(seen), "best": best}

def saves_an_object_later(config, context):
    context.save({"optimizer": {"state": [1]}})
    yield {"loss": 1.0}
    context.save({"optimizer": {"state": [train]}})
    yield {"loss": 1.0}

def writes(config, context):
    file = context.folder / "best.pt"
    found = file.exists()
    file.write_text(str(context.trial))
    yield {"trial": context.trial, "found": found}

def keeps_files(config, context):
    log, weights = context.folder / "log.txt", context.folder / "weights" / "last.bin"
    weights.parent.mkdir(exist_ok=True)
    for epoch in range(context.epoch, context.max_epochs):
        held = len(weights.read_bytes()) if weights.exists() else 0
        weights.write_bytes(bytes(epoch + 1))
        log.write_text(f"epoch {epoch + 1}")
        context.save(files="weights")
        yield {"epoch_trained": epoch + 1, "held": held, "is_logged": log.exists()}

def keeps_a_strange_file(config, context):
    context.save(files=[config["file"]])
    yield {"loss": 1.0}
"""


CHANGES_IN_PLACE = """
def changes_in_place(config, context):
    moments = torch.zeros(1) if context.load() is None else context.load()["moments"]
    for epoch in range(context.epoch, context.max_epochs):
        moments += 1.0
        if epoch < 2:
            context.save({"moments": moments})
        yield {"loss": moments}
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(COUNTER)
    return path


def training(code: Path, function: str = "train", seed: int = 0, **settings: Any) -> CodeTraining:
    config = CodeConfig.model_validate(
        {
            "trainable": f"{code}:{function}",
            "settings": {"rate": 0.5, **settings},
            "metric": {"name": "weight", "mode": "max"},
            "epochs": 4,
            "max_epochs": 4,
            "seed": seed,
            "threads": 1,
        }
    )
    return CodeTraining(config, torch.device("cpu"))


def trained_epochs(reports: list[EpochReport]) -> list[tuple[int, float]]:
    return [(report.epoch, report.metrics["epoch_trained"]) for report in reports]


def interrupted(code: Path, epochs: int, function: str = "train", **settings: Any) -> CodeTraining:
    """A new training resumed from the checkpoint of one that trained ``epochs``."""
    first = training(code, function, **settings)
    for _ in range(epochs):
        next(first)
    checkpoints = Checkpoints(str(code.parent), 0)
    checkpoints.save(epochs, first.state_dict())
    first.close()
    state = checkpoints.load()
    assert state is not None
    second = training(code, function, **settings)
    second.load_state_dict(state)
    return second


def test_each_yield_is_the_report_of_an_epoch(code: Path) -> None:
    reports = list(training(code))
    assert trained_epochs(reports) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [report.metrics["weight"] for report in reports] == [0.5, 1.0, 1.5, 2.0]


def test_training_ends_when_the_generator_does(code: Path) -> None:
    assert len(list(training(code, "draws"))) == 1


def test_the_context_tells_seed_epochs_and_gpus(code: Path) -> None:
    report = next(training(code, "tells", seed=5))
    assert report.metrics == {"seed": 5.0, "max_epochs": 4.0, "gpus": 0.0}


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_resumed_run_goes_on_from_what_was_saved(code: Path, epochs: int) -> None:
    assert list(interrupted(code, epochs)) == list(training(code))[epochs:]


def test_a_resumed_run_goes_back_to_the_last_epoch_that_was_saved(code: Path) -> None:
    second = interrupted(code, epochs=3, save_every=2)
    assert second.epoch == 2
    assert list(second) == list(training(code, save_every=2))[2:]


def test_code_that_never_saves_starts_anew(code: Path) -> None:
    second = interrupted(code, epochs=2, function="never_saves")
    assert trained_epochs(list(second)) == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_the_global_generators_start_from_the_seed(code: Path) -> None:
    first, again, other = (next(training(code, "draws", seed=s)).metrics for s in (1, 1, 2))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_closing_runs_the_codes_own_cleaning_up(code: Path) -> None:
    running = training(code, "cleans_up", file=str(code.parent / "closed"))
    next(running)
    assert not (code.parent / "closed").exists()
    running.close()
    assert (code.parent / "closed").exists()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("{'x': torch.tensor(2.0)}", 2.0),
        ("{'x': numpy.float32(2.0)}", 2.0),
        ("{'x': True}", 1.0),
        ("{'x': 10**400}", math.inf),
        ("{'x': numpy.bool_(True)}", 1.0),
        ("{'x': numpy.array(2)}", 2.0),
        ("{'x': numpy.array([2.0])}", 2.0),
        ("{'x': torch.ones(1, 1, requires_grad=True)}", 1.0),
        ("{'x': torch.tensor(True)}", 1.0),
        ("{'x': __import__('fractions').Fraction(1, 2)}", 0.5),
    ],
)
def test_anything_that_is_one_number_is_a_metric(code: Path, what: str, value: float) -> None:
    assert next(training(code, "yields", what=what)).metrics == {"x": value}


@pytest.mark.parametrize(
    ("what", "received"),
    [
        ("None", "got None"),
        ("0.5", "got 0.5"),
        ("{'loss': 'low'}", "got loss: 'low'"),
        ("{'loss': None}", "got loss: None"),
        ("{'loss': torch.zeros(2)}", "got loss: tensor"),
        ("{'loss': numpy.zeros(2)}", "got loss: array"),
        ("{'loss': numpy.array('low')}", "got loss: array"),
        ("{'loss': 1j}", "got loss: 1j"),
        ("{'loss': torch.tensor(1j)}", "got loss: tensor"),
        ("{'loss': [1.0]}", "got loss: [1.0]"),
    ],
)
def test_a_yield_that_is_no_metrics_is_told(code: Path, what: str, received: str) -> None:
    with pytest.raises(TypeError, match="each epoch must report a mapping of metric") as caught:
        next(training(code, "yields", what=what))
    assert received in str(caught.value)


@pytest.mark.parametrize("function", ["returns", "returns_before_it_yields"])
def test_a_dict_that_is_returned_is_the_only_report_and_the_last(code: Path, function: str) -> None:
    assert list(training(code, function)) == [EpochReport(1, {"loss": 1.0}, is_last=True)]


def test_what_is_neither_yielded_nor_a_dict_is_told(code: Path) -> None:
    rule = "must report or yield the metrics of each epoch, or return those of one; it gave 0.5"
    with pytest.raises(TypeError, match=rule):
        next(training(code, "gives_up"))


def test_a_dict_that_a_generator_returns_after_its_reports_is_none(code: Path) -> None:
    reports = list(training(code, "returns_at_its_end"))
    assert [(report.metrics, report.is_last) for report in reports] == [({"loss": 1.0}, False)]


def test_a_state_that_could_not_be_read_back_is_told_when_it_is_saved(code: Path) -> None:
    with pytest.raises(TypeError, match=r"context\.save takes tensors"):
        next(training(code, "saves_an_object"))


def test_a_state_is_checked_at_each_save(code: Path) -> None:
    running = training(code, "saves_an_object_later")
    next(running)
    with pytest.raises(TypeError, match=r"got optimizer\.state\.0: a function"):
        next(running)


@pytest.mark.parametrize("epochs", [1, 3])
def test_numpys_numbers_and_arrays_are_taken_in_a_state(code: Path, epochs: int) -> None:
    second = interrupted(code, epochs, "saves_numpy")
    assert list(second) == list(training(code, "saves_numpy"))[epochs:]
    state = second.saved_state(4)
    assert [type(row) for row in state["seen"]] == [np.ndarray] * 4
    assert tensors_in(state)["seen.3"].tolist() == [3, 3]


def test_each_trial_has_a_folder_of_its_own_in_the_run(code: Path, tmp_path: Path) -> None:
    config = training(code, "writes").config

    def found(trial: int, origin: str | None = None) -> float:
        folder = OwnFolder(tmp_path, f"files/{trial}", origin)
        report = next(CodeTraining(config, torch.device("cpu"), (), trial, folder))
        assert report.metrics["trial"] == trial
        assert (tmp_path / "files" / str(trial) / "best.pt").read_text() == str(trial)
        return report.metrics["found"]

    assert [found(0), found(1), found(1)] == [0.0, 0.0, 1.0]
    assert found(2, origin="files/1") == 1.0  # an audit takes the trial itself further
    assert (tmp_path / "files" / "1" / "best.pt").read_text() == "1"
    assert found(3, origin="files/9") == 0.0


def test_a_state_that_the_code_changes_in_place_is_saved_as_it_was(code: Path) -> None:
    code.write_text(COUNTER + CHANGES_IN_PLACE)
    resumed = interrupted(code, 2, "changes_in_place")
    next(resumed)
    kept = resumed.state_dict()["state"]["moments"].tolist()
    assert kept == [2.0]


def test_files_that_belong_to_a_state_come_back_with_it(code: Path) -> None:
    resumed = interrupted(code, 2, "keeps_files")
    report = next(resumed)
    assert report.metrics == {"epoch_trained": 3.0, "held": 2.0, "is_logged": 1.0}
    assert resumed._context.load() is None


def test_files_are_put_back_as_they_were_when_the_state_was_saved(code: Path) -> None:
    first = training(code, "keeps_files")
    for _ in range(2):
        next(first)
    state = first.state_dict()
    next(first)  # its files are newer than the state now
    second = CodeTraining(first.config, torch.device("cpu"), folder=first._context._folder)
    second.load_state_dict(state)
    assert next(second).metrics["held"] == 2.0


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.bin", r"there is no 'missing.bin' in \S+"),
        ("../outside", r"'../outside' is not in \S+"),
        ("/etc/hostname", r"'/etc/hostname' is not in \S+"),
    ],
)
def test_files_that_cannot_be_kept_are_told(code: Path, file: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(training(code, "keeps_a_strange_file", file=file))


def test_a_checkpoint_that_would_write_outside_of_the_folder_is_refused(code: Path) -> None:
    first = training(code, "keeps_files")
    state = {**first.state_dict(), "epoch": 1, "files": {"../outside": b"x"}}
    with pytest.raises(StorageError, match="leads out of the trial's folder"):
        first.load_state_dict(state)


def test_a_folder_that_another_configuration_left_is_put_aside(tmp_path: Path) -> None:
    (OwnFolder(tmp_path, "files/0").path() / "best.pt").write_text("unnoted")
    assert (OwnFolder(tmp_path, "files/0", None, "a").path() / "best.pt").exists()
    assert (OwnFolder(tmp_path, "files/0", None, "a").path() / "best.pt").exists()
    assert not (OwnFolder(tmp_path, "files/0", None, "b").path() / "best.pt").exists()
    assert (tmp_path / "files" / "0-earlier" / "best.pt").read_text() == "unnoted"
    (tmp_path / "files" / ".0.of").unlink()
    (tmp_path / "files" / ".0.of").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="link"):
        OwnFolder(tmp_path, "files/0", None, "b").path()
    assert not (tmp_path / "outside").exists()


def test_no_folder_is_made_that_nobody_asks_for(code: Path, tmp_path: Path) -> None:
    folder = OwnFolder(tmp_path, "files/0")
    config = training(code, "draws").config
    list(CodeTraining(config, torch.device("cpu"), (), 0, folder))
    assert not (tmp_path / "files").exists()


def test_without_a_run_the_folder_goes_with_the_training() -> None:
    folder = OwnFolder(None)
    path = folder.path()
    assert path == folder.path()
    (path / "best.pt").touch()
    del folder
    gc.collect()
    assert not path.exists()


def test_a_machine_that_does_not_see_the_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"does not see .*elsewhere; put the run where every"):
        OwnFolder(tmp_path / "elsewhere", "files/0").path()


def test_a_folder_that_leads_out_of_the_run_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "files").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="leads out of the run's folder"):
        OwnFolder(tmp_path / "run", "files/0").path()
    assert not (tmp_path / "0").exists()


def test_a_function_that_is_not_there_is_told_with_those_that_are(code: Path) -> None:
    with pytest.raises(InputError, match="has no function 'trian'; it has train, never_saves"):
        next(training(code, "trian"))


@pytest.mark.parametrize("name", ["no_such_module", "no_such_module.part"])
def test_code_that_cannot_be_imported_is_told_with_what_it_lacks(code: Path, name: str) -> None:
    code.write_text(f"import {name}")
    with pytest.raises(InputError, match="cannot be imported: ModuleNotFoundError") as caught:
        next(training(code))
    assert str(code) in str(caught.value)
    lacks = "; it is not installed here (most often: pip install no_such_module), nor is it in "
    assert str(caught.value).endswith(f"{lacks}{code.parent}")
