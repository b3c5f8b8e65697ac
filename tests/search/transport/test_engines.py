"""Both engines give the same run: one worker of Ray's, and none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.control.view import Silent
from search.lifecycle import resume_search, start_search
from search.session import Host
from spaces.experiment import Engine, Experiment
from tests.support import examples
from tests.support.inline import StopsAfter

pytestmark = pytest.mark.usefixtures("local_ray")

OWN_CODE = """
def train(config, context):
    print("epochs done:", context.epoch)
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        total += config["x"]
        context.save(total)
        yield {"score": total}
"""
ONE_WORKER = {"cpus": 2, "gpus": 0}


def built_in(folder: Path) -> Experiment:
    """A model on the digits; a resume needs the state of weights, optimizer and random numbers."""
    model = {"family": "mlp", "hidden": [16], "dropout": 0.2}
    baseline = {"lr": 0.01, "activation": "relu"}
    return examples.experiment(
        model=model, baseline=baseline, budget={"trials": 5}, resources=ONE_WORKER
    )


def own_code(folder: Path) -> Experiment:
    """The user's own code; a resume needs what it saved."""
    (folder / "own.py").write_text(OWN_CODE)
    return examples.own_code_experiment(folder, budget={"trials": 5}, resources=ONE_WORKER)


def frozen_and_thawed(folder: Path) -> Experiment:
    """Trials wait at their rungs, and go on from their checkpoints."""
    (folder / "own.py").write_text(OWN_CODE)
    return examples.own_code_experiment(
        folder,
        sampler="curves",
        scheduler={"name": "freeze_thaw", "max_epochs": 9},
        budget={"trials": 12},
        resources=ONE_WORKER,
    )


KINDS = pytest.mark.parametrize("experiment_in", [built_in, own_code, frozen_and_thawed])
ExperimentIn = Callable[[Path], Experiment]


def lines(run: RunFolder, *without: str) -> list[str]:
    """The journal's events but for times and the events that are named."""
    events = read_journal(run.journal_file)
    kept = [event for event in events if event.event not in without]
    return [event.model_dump_json(exclude={"time"}) for event in kept]


def searched(experiment: Experiment, folder: Path, engine: Engine) -> RunFolder:
    run = RunFolder(folder / engine)
    start_search(experiment, run, Host(engine=engine))
    return run


@KINDS
def test_with_one_worker_both_give_the_same_journal_but_for_times(
    experiment_in: ExperimentIn, tmp_path: Path
) -> None:
    experiment = experiment_in(tmp_path)
    on_ray, here = (searched(experiment, tmp_path, engine) for engine in ("tune", "inline"))
    assert lines(on_ray) == lines(here)
    assert "stop" in {line.partition('"decision":"')[2][:4] for line in lines(here)}


@pytest.mark.parametrize(
    ("experiment_in", "first", "second"),
    [
        (built_in, "tune", "inline"),
        pytest.param(frozen_and_thawed, "tune", "inline", marks=pytest.mark.slow),
        pytest.param(built_in, "inline", "tune", marks=pytest.mark.slow),
        pytest.param(own_code, "tune", "inline", marks=pytest.mark.slow),
        pytest.param(own_code, "inline", "tune", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_interrupted_on_one_goes_on_with_the_other(
    experiment_in: ExperimentIn, first: Engine, second: Engine, tmp_path: Path
) -> None:
    """And comes to what a search comes to that nobody interrupted."""
    experiment, run = experiment_in(tmp_path), RunFolder(tmp_path / "run")
    stopped = start_search(experiment, run, Host(engine=first, view=StopsAfter(epochs=4)))
    assert stopped.is_interrupted
    assert len(stopped.trials.running) - len(stopped.trials.waiting) <= 1
    view = Silent()
    coordinator = resume_search(run, host=Host(engine=second, view=view))
    assert not coordinator.is_interrupted
    assert [note for note in view.notes if "starts over" in note] == []
    whole = searched(experiment, tmp_path, "inline")
    ends = ("ended", "resumed", "changed")
    assert lines(run, *ends) == lines(whole, *ends)
