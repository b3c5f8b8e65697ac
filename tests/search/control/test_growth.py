"""What a trial costs the driver, and what stays of it, is the same however many there were.

Counted are calls of Python's functions, not seconds.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder
from analysis.views.projection import open_projections
from search.control.coordinator import Coordinator
from search.control.sampler import Sampler
from tests.support import examples
from tests.support.proposals import experiment, propose

FAR_AWAY = {"trials": 1000, "target": 2.0, "patience": 1000}  # limits that are never reached


def calls(coordinator: Coordinator, trials: int) -> int:
    """Of Python's functions, while so many trials begin and end."""
    profile = cProfile.Profile()
    with profile:
        for _ in range(trials):
            trial = coordinator.next_trial()
            assert trial is not None
            value = examples.accuracy(trial.number, 1)
            assert examples.report(coordinator, trial.number, 1, value) == "stop"
    found: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]
    return found


def test_a_trial_costs_as_many_calls_after_200_trials_as_at_first(tmp_path: Path) -> None:
    one_epoch = {"name": "asha", "max_epochs": 1}
    coordinator = examples.coordinator(
        tmp_path, sampler="random", budget=FAR_AWAY, scheduler=one_epoch
    )
    folder = RunFolder(tmp_path)
    coordinator.projections = open_projections(folder, coordinator.experiment)
    calls(coordinator, 20)  # what is made once
    first = calls(coordinator, 20)
    calls(coordinator, 160)
    assert calls(coordinator, 20) == pytest.approx(first, rel=0.02)
    coordinator.close()


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_only_a_sampler_that_learns_from_ended_trials_keeps_them(name: str) -> None:
    sampler = Sampler(experiment(name))
    propose(sampler, range(20))
    held = sampler._storage.get_all_trials(0, deepcopy=False)
    assert len(held) == 20
    kept = {trial.number for trial in held if trial.params}
    assert kept == ({18, 19} if name == "random" else set(range(20)))
