"""What of Tune we touch that its documentation does not promise; tests/…/test_tune_internals.py.

Ray is pinned to the minor versions with which those tests passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from trainables.worker.messages import Assignment
from trainables.worker.tune_ranks import RankDiedError

CONTINUE: str = TrialScheduler.CONTINUE
STOP: str = TrialScheduler.STOP
FINISHED: str = Searcher.FINISHED
ALWAYS = -1  # how often a process may start again
_OF_A_RANK = f"{RankDiedError.__module__}.{RankDiedError.__qualname__}: "


def assignment_of(trial: TuneTrial) -> Assignment:
    """What a trial's worker was told."""
    assignment: Assignment = trial.config["assignment"]
    return assignment


def give(trial: TuneTrial, assignment: Assignment | None) -> None:
    """Tell the worker with which Tune starts a trial again something else."""
    trial.config["assignment"] = assignment


def begin_with(trial: TuneTrial, assignments: Sequence[Assignment]) -> None:
    """Tell the lane group with which Tune starts a trial again what to train."""
    trial.config["assignments"] = assignments


def call(trial: TuneTrial, method: str, *arguments: Any) -> None:
    """Call a method of a trial's process, which it carries out before its next step.

    (Ray carries out the calls from one process in their order.)
    """
    getattr(trial.temporary_state.ray_actor, method).remote(*arguments)


def reserve(trial: TuneTrial, resources: tune.PlacementGroupFactory) -> None:
    """Let a trial whose process died have other resources when it starts again.

    Tune files those that wait by their resources, so this is for the scheduler's
    ``on_trial_error``: the trial runs no more then, and does not wait yet.
    """
    trial.update_resources(resources)


def limit_restarts(trial: TuneTrial, left: int) -> None:
    """Let Tune start a trial again so many times; it knows only of this session's deaths."""
    trial.max_failures = trial.num_failures + max(0, left)


def pending(controller: Any) -> Iterator[TuneTrial]:
    """The trials that wait for a process, of those that have not ended."""
    live = controller.get_live_trials()
    return (trial for trial in live if trial.status == TuneTrial.PENDING)


def folder_in_session(trial: TuneTrial) -> Path | None:
    """Where Tune puts files of the experiment below Ray's session folder.

    A trial's own path is …/<experiment>/driver_artifacts/<trial>.
    """
    return None if trial.local_path is None else Path(trial.local_path).parents[1]


def last_error(trial: TuneTrial) -> str:
    """What Ray said when a trial's process died; Tune appends it to a file."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return text.rpartition("Failure # ")[2].partition("\n")[2].strip()


def why_it_died(error: str) -> str:
    """Why a process died, in a line: the last one of a traceback, or the first."""
    lines = error.splitlines() or ["its process died"]
    if lines[0].startswith("The actor died unexpectedly"):
        return "its process died: killed, out of memory, or hanging (its log says so)"
    told = lines[-1 if "ray::" in lines[0] else 0]
    wanting = (line for line in lines if "CUDA error: out of memory" in line)  # more may follow it
    return next(wanting, told).strip().removeprefix(_OF_A_RANK)
