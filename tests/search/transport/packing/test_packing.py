"""Trials that share GPUs, on made-up ones: measured first, and alone when memory is wanting."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from analysis.record.events import Shared
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.cli.main import main
from search.control.controller import Controller
from search.control.view import Silent
from search.lifecycle import resume_search, start_search
from search.session import Host
from search.transport.on_ray import slots
from search.transport.on_ray.slots import Slots, gpu_share, slots_for
from search.transport.packing import measurement
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.resources import Resources
from tests.support import examples

MEASURING = "measuring how many trials share a GPU"
PACK = {"cpus": 0.25, "gpus": "pack"}  # on four GPUs and two CPUs: two trials on each

CODE = """
import os, time
import ray, torch

def train(config, context):
    (context.folder / "pid").write_text(str(os.getpid()))
    total, tried = context.load() or 0.0, context.folder / "tried"
    for epoch in range(context.epoch, context.max_epochs):
        time.sleep(0.01)
        if epoch == 1 and config["size"] == "large" and not tried.exists():
            tried.touch()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if config["size"] == "broken":
            raise ValueError("this code fails")
        total += 1.0
        context.save(total)
        yield {"score": total, "gpus": ray.get_runtime_context().get_assigned_resources()["GPU"]}
"""


class StopsWhen(Silent):
    """Interrupts a session, as Ctrl-C does, once something has happened."""

    def __init__(self, has_happened: Callable[[Controller], bool]) -> None:
        super().__init__()
        self._has_happened = has_happened

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Note what is trained."""
        self._controller = controller
        return nullcontext()

    def update(self) -> None:
        """Interrupt it, when it is time to."""
        if self._has_happened(self._controller):
            self._controller.is_interrupted = True


def own_code(folder: Path, sizes: list[str], **changes: object) -> Experiment:
    """Six trials of three epochs of own code, two of each size where there are three."""
    (folder / "own.py").write_text(CODE)
    return examples.own_code_experiment(
        folder,
        **{
            "space": {"size": sizes, "x": [0, 1]},
            "sampler": "grid",
            "scheduler": {"name": "none", "max_epochs": 3},
            "budget": {},
            "resources": PACK,
            **changes,
        },
    )


def shared_in(run: RunFolder) -> list[Shared]:
    return [event for event in read_journal(run.journal_file) if isinstance(event, Shared)]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_built_in_model_is_measured_and_as_many_share_a_gpu_as_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = {"lr": 0.01, "activation": "relu"}
    experiment = examples.experiment(baseline=baseline, resources=PACK, budget={"trials": 3})
    run, view = RunFolder(tmp_path / "run"), Silent()
    coordinator = start_search(experiment, run, Host(engine="tune", view=view))
    (found,) = shared_in(run)
    assert [load.trials for load in found.loads] == [1, 2]
    assert all(load.rate > 0 and load.used_bytes is None for load in found.loads)
    assert found.machine == "2 CPUs, 4 GPUs"
    assert coordinator.trials.shared == found
    assert view.notes[0] == MEASURING
    assert view.notes[1].startswith(("one trial has each GPU: ", "2 trials share each GPU: "))
    assert sum(coordinator.trials.counts().values()) == 3
    assert main(["status", str(run.path)]) == 0
    assert f"trials that share a GPU: {found.trials}\n" in capsys.readouterr().out
    assert main(["report", str(run.path)]) == 0
    page = (run.path / "report.html").read_text()
    assert f"Trials that share a GPU: {found.trials}, {found.reason}." in page


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_run_that_goes_on_is_not_measured_again_unless_on_another_kind_of_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    stops = StopsWhen(lambda controller: controller.trials.epochs >= 1)
    scheduler = {"name": "none", "max_epochs": 27}
    experiment = own_code(tmp_path, ["small"], scheduler=scheduler)
    assert start_search(experiment, run, Host(engine="tune", view=stops)).is_interrupted
    (found,) = shared_in(run)
    assert [load.trials for load in found.loads] == [1, 2]
    stops = StopsWhen(lambda controller: True)
    assert resume_search(run, host=Host(engine="tune", view=stops)).is_interrupted
    assert shared_in(run) == [found]
    assert MEASURING not in stops.notes
    monkeypatch.setattr(measurement, "machine_of", lambda node: "another kind")
    resume_search(run, host=Host(engine="tune", view=Silent()))
    assert [held.machine for held in shared_in(run)] == ["2 CPUs, 4 GPUs", "another kind"]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_trial_that_runs_out_of_gpu_memory_goes_on_with_a_gpu_of_its_own(tmp_path: Path) -> None:
    resources = {"cpus": 0.25, "gpus": 0.5}
    experiment = own_code(tmp_path, ["small", "large", "other"], resources=resources)
    coordinator = start_search(experiment, RunFolder(tmp_path / "run"), Host(engine="tune"))
    assert len(coordinator.trials) == 6
    for trial in coordinator.trials:
        is_large = trial.params["size"] == "large"
        assert trial.state == "completed"
        assert [report.metrics["score"] for report in trial.reports] == [1.0, 2.0, 3.0]
        shares = [report.metrics["gpus"] for report in trial.reports]
        assert shares == [0.5, *([1.0, 1.0] if is_large else [0.5, 0.5])]
        assert (trial.attempts, trial.wants_gpu_memory) == (is_large, is_large)


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_its_size_is_remembered_when_the_run_goes_on(tmp_path: Path) -> None:
    resources = {"cpus": 0.25, "gpus": 0.5}
    experiment = own_code(tmp_path, ["large"], resources=resources)
    run = RunFolder(tmp_path / "run")
    stops = StopsWhen(lambda held: any(trial.attempts for trial in held.trials))
    assert start_search(experiment, run, Host(engine="tune", view=stops)).is_interrupted
    coordinator = resume_search(run, host=Host(engine="tune"))
    for trial in coordinator.trials:
        assert [report.metrics["score"] for report in trial.reports] == [1.0, 2.0, 3.0]
        assert [report.metrics["gpus"] for report in trial.reports] == [0.5, 1.0, 1.0]
        assert trial.attempts == 1


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_code_that_fails_gives_each_trial_a_gpu_and_the_search_tells_the_failure(
    tmp_path: Path,
) -> None:
    run, view = RunFolder(tmp_path / "run"), Silent()
    with pytest.raises(Exception, match="this code fails"):
        start_search(own_code(tmp_path, ["broken"]), run, Host(engine="tune", view=view))
    (found,) = shared_in(run)
    assert (found.trials, found.loads) == (1, [])
    assert found.reason == "with 1, one ended: ValueError: this code fails"


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_an_interruption_ends_the_measuring_and_all_its_processes(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    stops = StopsWhen(lambda controller: MEASURING in stops.notes)
    assert start_search(own_code(tmp_path, ["small"]), run, Host(view=stops)).is_interrupted
    assert shared_in(run) == []
    assert [
        name for name in ("files", "logs", "checkpoints") if any(run.path.glob(f"{name}/*"))
    ] == []
    assert len(resume_search(run, host=Host(view=Silent())).trials) == 2


def test_the_inline_engine_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"resources\.gpus: pack: needs processes beside this one"):
        start_search(
            examples.experiment(resources=PACK),
            RunFolder(tmp_path / "run"),
            Host(engine="inline", view=Silent()),
        )
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("local_ray")
def test_a_machine_without_a_gpu_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "living_nodes", lambda: [{"Resources": {"CPU": 8.0}}])
    resources = Resources.model_validate({"gpus": "pack"})
    with pytest.raises(InputError) as refused:
        slots_for(resources, may_wait=False)
    rule = "resources.gpus: pack measures how many trials share a GPU, and there is none here"
    assert str(refused.value) == f"{rule}: leave gpus out, or set it to 0"


@pytest.mark.parametrize("trials", [*range(1, 33)])
def test_the_shares_of_a_gpu_fit_on_it_and_no_one_more(trials: int) -> None:
    held = Slots(cpus=1, gpus=1.0)
    held.share(trials)
    assert round(gpu_share(trials) * 10_000) * trials <= 10_000
    assert held.trials_per_gpu == trials
