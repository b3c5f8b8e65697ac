"""Trials of several processes, one for each rank, with gloo and made-up GPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.record.events import Attempt
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.lifecycle import start_search
from search.session import Host
from search.transport.on_ray.slots import Slots, slots_for
from spaces.problems import InputError
from spaces.resources import Resources
from tests.support import examples
from tests.support.invariants import check_whole
from tests.support.processes import DEADLINE_SECONDS, code_file, shoal, wait_for_epochs

CODE = """
import os, signal
import torch
from torch import distributed

def train(config, context):
    total, mode = context.load() or 0.0, config["mode"]
    died = context.folder / "died"
    try:
        for epoch in range(context.epoch, context.max_epochs):
            if epoch == 1 and context.rank == 1:
                if mode == "dies" and not died.exists():
                    died.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                if mode == "raises":
                    raise ValueError("this rank fails")
                if mode == "ends early":
                    return
            if epoch == 2 and context.rank == 0 and mode == "dies late" and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            shares = torch.tensor([1.0 + context.rank, float(context.gpu_ids[0])])
            if not (epoch == 1 and mode == "ends early"):
                distributed.all_reduce(shares)
            total += shares[0].item()
            context.save(total)
            yield {"score": total, "gpus": shares[1], "local": context.local_rank}
    finally:
        (context.folder / f"closed by {context.rank} of {context.world_size}").touch()
"""
DEATHS = {"fine": [], "dies": ["rank 1 died"], "dies late": ["rank 0 died"]}
MODES = ["fine", "dies", "dies late", "raises", "ends early"]


def attempts(run: RunFolder, trial: int) -> list[str]:
    """Why a trial's processes died."""
    events = read_journal(run.journal_file)
    return [e.reason for e in events if isinstance(e, Attempt) and e.trial == trial]


@pytest.mark.usefixtures("local_ray")
def test_ranks_train_together_start_again_together_and_fail_together(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CODE)
    experiment = examples.own_code_experiment(
        tmp_path,
        space={"mode": MODES},
        sampler="grid",
        scheduler={"name": "none", "max_epochs": 3},
        budget={},
        resources={"cpus": 1, "gpus": 2},
    )
    run = RunFolder(tmp_path / "run")
    coordinator = start_search(experiment, run, Host(engine="tune"))
    trials = {trial.params["mode"]: trial for trial in coordinator.trials}
    for mode in ("fine", "dies", "dies late"):
        trial = trials[mode]
        assert trial.state == "completed"
        assert [report.metrics["score"] for report in trial.reports] == [3.0, 6.0, 9.0]
        assert {report.metrics["local"] for report in trial.reports} == {0.0}
        assert trial.attempts == (mode != "fine")
        assert [reason[:11] for reason in attempts(run, trial.number)] == DEATHS[mode]
        closed = (run.path / run.files_of(trial.number)).glob("closed by *")
        assert sorted(file.name[-6:] for file in closed) == ["0 of 2", "1 of 2"]
    assert len({report.metrics["gpus"] for report in trials["fine"].reports}) == 1
    assert trials["fine"].reports[0].metrics["gpus"] > 0.0  # the ids of two that differ
    assert trials["raises"].state == trials["ends early"].state == "failed"
    assert "this rank fails" in str(trials["raises"].reason)
    assert str(trials["raises"].reason).startswith("rank 1: Traceback")
    rule = "rank 1 has ended, and rank 0 goes on; all ranks report each epoch"
    assert trials["ends early"].reason == rule


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workers": 3, "gpus": 0}, "resources.cpus: 3 for 3 workers asked for, but there are 2"),
        ({"gpus": 5, "cpus": 0.1}, "resources.gpus: 5 for 5 workers asked for, but there are 4"),
    ],
)
def test_more_ranks_than_this_machine_has_room_for_are_refused(
    asked: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        slots_for(Resources.model_validate(asked), may_wait=False)


@pytest.mark.usefixtures("local_ray")
def test_as_many_trials_run_side_by_side_as_their_ranks_fit() -> None:
    assert Slots(cpus=1, gpus=0, workers=2).count() == 1
    assert Slots(cpus=0.5, gpus=1, workers=2).count() == 2
    assert Slots(cpus=0.5, gpus=1, workers=3, spread=True).count() == 1
    assert Slots(cpus=1, gpus=1, workers=3).count() == 0


SLOW = """
import os, time
from torch import distributed

def train(config, context):
    (context.folder / f"pid {os.getpid()}").touch()
    total = context.load() or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        time.sleep(0.1)
        distributed.barrier()
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def left(pids: list[int]) -> Iterator[int]:
    """Those that are still there after some time."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline and any(map(is_alive, pids)):
        time.sleep(0.1)
    return filter(is_alive, pids)


@pytest.mark.slow
def test_no_rank_is_left_behind_by_a_driver_that_is_killed_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    resources = {"cpus": 1, "gpus": 0, "workers": 2}
    file = code_file(tmp_path, SLOW, resources=resources, budget={"trials": 4})
    process = shoal("search", file, "--run", str(run))
    wait_for_epochs(run, 5, process)
    process.kill()
    process.communicate()
    pids = [int(file.name.split()[1]) for file in run.glob("files/*/pid *")]
    assert len(set(pids)) == 2
    assert list(left(pids)) == []
    resumed = shoal("resume", str(run))
    _, error = resumed.communicate(timeout=DEADLINE_SECONDS)
    assert resumed.returncode == 0, error
    check_whole(run, trials=4)
