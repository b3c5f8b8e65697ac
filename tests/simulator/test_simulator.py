"""Histories of a failing world: 400 for every change, 2,000 in all; planted faults are found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import analysis.record.lock
from analysis.record.events import Finished, Report
from analysis.record.journal import Journal
from analysis.record.trials import Trials
from analysis.views.optuna_log import OptunaLog
from search.control.dispatcher import Dispatcher
from search.transport.lanes.group import Group
from tests.simulator.histories import Place, lived, place

_EACH = 100
_HISTORIES = [
    *range(0, 400, _EACH),
    *(pytest.param(first, marks=pytest.mark.slow) for first in range(400, 2000, _EACH)),
]


@pytest.fixture
def held() -> Iterator[Place]:
    with place() as held:
        yield held


@pytest.mark.parametrize("first", _HISTORIES)
def test_a_run_survives_its_disk_its_workers_and_its_driver(first: int, held: Place) -> None:
    for seed in range(first, first + _EACH):
        lived(seed, held)


def test_a_seed_is_lived_twice_in_the_same_way(held: Place) -> None:
    for seed in range(20):
        ways = []
        for _ in range(2):
            events = lived(seed, held).world.events
            ways.append((events, (held.folder / "run" / "journal.jsonl").read_bytes()))
        assert ways[0] == ways[1]


def _forgetful(journal: Journal, event: Any) -> Any:
    """As ``Journal.append``, but the first report of trial 1 is not written."""
    is_it = isinstance(event, Report) and (event.trial, event.epoch) == (1, 1)
    return event if is_it else _APPEND(journal, event)


def _unfinished(log: OptunaLog, event: Any, trials: Trials) -> None:
    """As ``OptunaLog.write``, but the end of trial 1 is left out while the search goes on."""
    is_it = isinstance(event, Finished) and event.trial == 1 and len(trials) < 3
    if not is_it:
        _WRITE(log, event, trials)


_APPEND, _WRITE = Journal.append, OptunaLog.write
FAULTS: dict[str, tuple[Any, str, Any]] = {
    "a report is not written": (Journal, "append", _forgetful),
    "an end is not noted": (Dispatcher, "given_up", lambda *_: None),
    "what is written is not synced": (Journal, "_sync_in_groups", lambda _: None),
    "the journal is not locked": (analysis.record.lock, "_take", lambda *_: True),
    "an end is not shown": (OptunaLog, "write", _unfinished),
    "a group loses its trials": (Group, "hand_back", lambda group: group._running.clear()),
}


def _first_found(seeds: range, held: Place) -> None:
    for seed in seeds:
        lived(seed, held)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_is_planted_is_found(
    name: str, held: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*FAULTS[name])
    with pytest.raises(Exception, match=r"."):
        _first_found(range(300), held)
