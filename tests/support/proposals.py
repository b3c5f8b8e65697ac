"""What a sampler proposes while the trials that it proposed end in many ways."""

from __future__ import annotations

from typing import Any

from analysis.record.events import Created, Report, State
from analysis.record.trials import Trial
from search.control.sampler import Sampler
from spaces.experiment import Experiment
from spaces.parameters import Params
from tests.support import examples

SPACE = {
    "lr": {"low": 0.0001, "high": 0.1001, "step": 0.005},
    "dropout": {"low": 0.0, "high": 0.6, "step": 0.1},
    "optimizer": ["sgd", "adam"],
    "momentum": {"low": 0.0, "high": 0.9, "step": 0.1, "when": {"optimizer": "sgd"}},
}


def experiment(name: str, **changes: Any) -> Experiment:
    return examples.experiment(**{"space": SPACE, "sampler": {"name": name}, **changes})


STATES: tuple[State, ...] = (
    "completed",
    "stopped",
    "stopped",
    "diverged",
    "completed",
    "failed",
)


def ended(number: int) -> Trial:
    """A made end for each trial: some completed, some stopped, diverged and failed."""
    return trial(number, STATES[number % 6], [examples.accuracy(number, n) for n in (1, 2, 3)])


def trial(number: int, state: State, values: list[float]) -> Trial:
    reports = [
        Report(trial=number, epoch=epoch, metrics={"val_accuracy": v}, decision="continue")
        for epoch, v in enumerate(values, start=1)
    ]
    return Trial(number, {}, seed=0, state=state, reports=reports)


def ask(sampler: Sampler, number: int) -> Params | None:
    """The configuration of the next trial, which begins with it."""
    proposal = sampler.propose(number)
    if proposal is None:
        return None
    begin(sampler, number, proposal.params)
    return proposal.params


def begin(sampler: Sampler, number: int, params: Params) -> None:
    """A trial begins with these parameters."""
    sampler.begin(Created(trial=number, params=params, seed=0))


def propose(sampler: Sampler, numbers: range) -> list[Any]:
    """Ask and tell, each trial ending two proposals after its own."""
    proposals = []
    for number in numbers:
        proposals.append(ask(sampler, number))
        if number >= 2:
            sampler.tell(ended(number - 2), worst=0.0)
    return proposals
