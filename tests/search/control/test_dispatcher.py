"""What workers answer, and what is noted of it: without Ray, as its adapters would hand it over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from search.export.bundle import export_best
from spaces.problems import InputError
from tests.support import examples
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.reports import EpochReport
from trainables.worker.messages import Outcome
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.worker import Worker

OWN = "def train(config, context):\n    yield {'score': 1.0}\n"


def dispatching(folder: Path, trials: int) -> tuple[Dispatcher, list[str]]:
    """A dispatcher of a search on own code of which so many trials run, and what it notes."""
    (folder / "own.py").write_text(OWN)
    coordinator = examples.own_code_coordinator(folder)
    view = Silent()
    dispatcher = Dispatcher(coordinator, RunFolder(folder), view)
    for _ in range(trials):
        coordinator.next_trial()
    return dispatcher, view.notes


def reported(score: float, **changes: Any) -> Outcome:
    return Outcome(EpochReport(1, {"score": score}, **changes))


def failed(error: str) -> Outcome:
    return Outcome(None, error=error)


def test_failures_that_say_the_same_are_noted_once_with_a_count(tmp_path: Path) -> None:
    dispatcher, notes = dispatching(tmp_path, 6)
    dispatcher.take(0, reported(0.5))
    for number in range(1, 5):
        assert (
            dispatcher.take(number, failed(f"Traceback …\n{'ab'[number == 4]}: \x1b[2J")) == "stop"
        )
    assert notes == ["trial 1 failed: a: \\x1b[2J", "trial 4 failed: b: \\x1b[2J"]
    with dispatcher.working():
        pass
    assert notes[2:] == ["3 trials failed: a: \\x1b[2J"]
    assert dispatcher.controller.trials.counts()["failed"] == 4
    assert (tmp_path / "logs" / "3.txt").read_text() == "Traceback …\na: \x1b[2J\n"


@pytest.mark.parametrize("late", [reported(0.5), Outcome(None), failed("Traceback …\na: b")])
def test_an_answer_that_comes_after_the_end_of_its_trial_changes_nothing(
    late: Outcome, tmp_path: Path
) -> None:
    dispatcher, notes = dispatching(tmp_path, 1)
    dispatcher.given_up(0, "its node has left")
    events, before = read_journal(tmp_path / "journal.jsonl"), list(notes)
    assert dispatcher.take(0, late) == "stop"
    assert read_journal(tmp_path / "journal.jsonl") == events
    assert notes == before
    with dispatcher.working():
        pass


def test_code_that_is_moved_meanwhile_fails_no_trial(tmp_path: Path) -> None:
    dispatcher, notes = dispatching(tmp_path, 1)
    trial = dispatcher.controller.trials.by_number[0]
    (tmp_path / "own.py").unlink()
    assignment = dispatcher.assignment(trial)
    assert assignment is not None
    assert assignment.project == str(tmp_path)
    assert notes == []


def test_a_single_report_that_was_returned_completes_its_trial(tmp_path: Path) -> None:
    dispatcher, _ = dispatching(tmp_path, 1)
    assert dispatcher.take(0, reported(0.5, is_last=True)) == "stop"
    assert dispatcher.controller.trials.by_number[0].state == "completed"


def test_a_checkpoint_that_cannot_be_read_is_named_on_a_resume(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path / "checkpoints"), 0)
    whole = Path(checkpoints.save(1, {"training": {}, "reports": []}))
    torn = Path(checkpoints.save(2, {"training": {}, "reports": []}))
    torn.write_bytes(torn.read_bytes()[:-1])
    worker = Worker(None, Here(), Echo())
    worker._notes = []
    assert list(worker._each_state(checkpoints)) == [{"training": {}, "reports": []}]
    reason = "its checksum does not fit, so it was cut off or changed; it is passed over"
    assert worker._notes == [f"{torn} can't be read: {reason}"]
    whole.unlink()
    dispatcher, notes = dispatching(tmp_path, 1)
    dispatcher.take(0, Outcome(EpochReport(1, {"score": 1.0}), notes=tuple(worker._notes)))
    assert notes == [f"trial 0: {torn} can't be read: {reason}"]


def test_export_says_which_checkpoint_cannot_be_read_and_why(tmp_path: Path) -> None:
    dispatcher, _ = dispatching(tmp_path, 1)
    dispatcher.take(0, reported(1.0, is_last=True))
    checkpoints = Checkpoints(str(tmp_path / "checkpoints"), 0)
    state = {"epoch": 1, "state": {"w": torch.ones(1)}, "kept": None}
    path = Path(checkpoints.save(1, {"training": state, "reports": []}))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    missing = r"trial 0 has no whole checkpoint of epoch 1 any more"
    with pytest.raises(InputError, match=rf"{missing}: {path} can't be read: its checksum does"):
        export_best(tmp_path, tmp_path / "bundle")
    path.unlink()
    with pytest.raises(InputError, match=rf"{missing}$"):
        export_best(tmp_path, tmp_path / "bundle")
    path.write_bytes(whole)
    export_best(tmp_path, tmp_path / "bundle")


def save_tensor(folder: Path, epoch: int, tensor: torch.Tensor, **noted: Any) -> None:
    """A checkpoint of trial 0, of own code that saved one tensor."""
    state = {"epoch": epoch, "state": {"w": tensor}, "kept": None}
    checkpoints = Checkpoints(str(folder / "checkpoints"), 0)
    checkpoints.save(epoch, {"training": state, "reports": [], **noted})


def test_weights_code_and_parts_come_from_one_checkpoint_that_of_the_epoch(tmp_path: Path) -> None:
    dispatcher, _ = dispatching(tmp_path, 1)
    dispatcher.take(0, reported(1.0))  # the process died before its second report arrived
    (tmp_path / "later.txt").touch()
    save_tensor(tmp_path, 1, torch.ones(1), code={"files": ["own.py"], "folder": "."})
    save_tensor(tmp_path, 2, torch.zeros(1), code={"files": ["own.py", "later.txt"], "folder": "."})
    bundle = export_best(tmp_path, tmp_path / "bundle")
    assert bundle.parts == {"": 1}
    assert bundle.code["files"] == ["own.py"]


@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_a_sparse_tensor_is_told_where_a_bundle_would_hold_it(tmp_path: Path) -> None:
    dispatcher, _ = dispatching(tmp_path, 1)
    dispatcher.take(0, reported(1.0, is_last=True))
    save_tensor(tmp_path, 1, torch.eye(1000).to_sparse())
    with pytest.raises(InputError, match=r"a bundle holds no sparse tensors.*; got w"):
        export_best(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_of_the_trials_of_a_process_that_hangs_one_is_told(tmp_path: Path) -> None:
    dispatcher, notes = dispatching(tmp_path, trials=3)
    for second in range(3):
        dispatcher.look_for_hung_trials(float(second))
        for number in range(3):
            dispatcher.heard(number, "pid 1 on a node" if number < 2 else "pid 2 on a node")
    for second in range(3, 100):
        dispatcher.look_for_hung_trials(float(second))
    told = [note for note in notes if "has not reported" in note]
    assert [note.partition(" has")[0] for note in told] == ["trial 0", "trial 2"]
