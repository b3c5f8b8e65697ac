"""Clusters whose nodes come and go while a search runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.record.events import Attempt, Report
from analysis.record.journal import read_journal
from tests.support.fused import check_trained_as_alone, small
from tests.support.invariants import check_ended_once, check_whole, events_of, trials_in
from tests.support.processes import (
    DEADLINE_SECONDS,
    RayCluster,
    code_file,
    reporting,
    shoal,
    wait_for_epochs,
)

pytestmark = pytest.mark.slow

NOTING_CODE = """
import time
import ray

def train(config, context):
    node = ray.get_runtime_context().get_node_id()
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        with open(config["notes"], "a") as notes:
            notes.write(f"{node} {context.seed} {epoch + 1}\\n")
        time.sleep(0.2)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""
WAITING = "waiting: no node of the cluster has the 1 CPUs and 1 GPUs that a trial needs\n"


class NotedSearch:
    """A search on a cluster whose code notes on which nodes it trains.

    Args:
        folder: where the run and the notes go.
        cluster: where it searches.
        trials: how many.
        code: the trainable.
        changes: sections of the experiment.
    """

    def __init__(
        self,
        folder: Path,
        cluster: RayCluster,
        trials: int,
        code: str = NOTING_CODE,
        **changes: Any,
    ) -> None:
        self.run = folder / "run"
        self._notes = folder / "notes"
        file = code_file(
            folder / "code",
            code,
            train={"notes": str(self._notes)},
            budget={"trials": trials},
            max_failures=20,
            **{"resources": {"cpus": 1, "gpus": 1}, **changes},
        )
        self.process = shoal("search", file, "--run", str(self.run), "--address", cluster.address)

    def notes(self) -> list[tuple[str, int, int]]:
        """(node, seed, epoch) of each epoch that began."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        words = (line.split() for line in lines)
        return [(node, int(seed), int(epoch)) for node, seed, epoch in words]

    def moved_from(self, node: str) -> list[tuple[int, int]]:
        """(first epoch on another node, last report before) of each trial that died on one."""
        saved: dict[int, int] = {}
        moved = []
        trials = trials_in(self.run)
        for event in read_journal(self.run / "journal.jsonl"):
            if isinstance(event, Report):
                saved[event.trial] = event.epoch
            elif isinstance(event, Attempt):
                seed = trials.by_number[event.trial].seed
                places = [(note[0], note[2]) for note in self.notes() if note[1] == seed]
                if places[0][0] == node:
                    elsewhere = next(epoch for place, epoch in places if place != node)
                    moved.append((elsewhere, saved.get(event.trial, 0)))
        return moved

    def wait_until(self, holds: Callable[[list[tuple[str, int, int]]], bool]) -> None:
        """Wait until something holds of the notes."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds(self.notes()):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def wait_for_line(self, told: str) -> None:
        """Wait until the search says something."""
        assert self.process.stderr is not None
        assert told in iter(self.process.stderr.readline, "")

    def ended(self) -> str:
        """Wait until it is done; returns what it said."""
        _, error = self.process.communicate(timeout=DEADLINE_SECONDS)
        assert self.process.returncode == 0, error
        return error


def nodes_of(notes: list[tuple[str, int, int]]) -> set[str]:
    return {node for node, _, _ in notes}


def is_within(notes: list[tuple[str, int, int]], node: str, epochs: range) -> bool:
    """Whether a node is at one of these epochs of its trial."""
    latest = next((epoch for place, _, epoch in reversed(notes) if place == node), 0)
    return latest in epochs


def test_a_cluster_without_gpus_is_waited_for_and_used_when_nodes_join(tmp_path: Path) -> None:
    with RayCluster() as cluster:
        search = NotedSearch(tmp_path, cluster, trials=40)
        search.wait_for_line(WAITING)
        joined = {cluster.join(), cluster.join()}
        search.wait_until(lambda notes: nodes_of(notes) == joined)
        search.ended()
    check_whole(search.run, trials=40)


@pytest.mark.parametrize("code", [NOTING_CODE, reporting(NOTING_CODE)], ids=["yields", "reports"])
def test_the_trials_of_a_lost_node_go_on_elsewhere_from_their_checkpoints(
    code: str, tmp_path: Path
) -> None:
    with RayCluster() as cluster:
        first, _ = cluster.join(), cluster.join()
        scheduler = {"name": "none", "max_epochs": 30}
        search = NotedSearch(tmp_path, cluster, trials=6, code=code, scheduler=scheduler)
        search.wait_until(lambda notes: is_within(notes, first, range(3, 10)))
        assert cluster.lose() == first
        search.ended()
    check_whole(search.run, trials=6)
    assert trials_in(search.run).counts()["completed"] == 6
    moved = search.moved_from(first)
    assert moved
    assert all(elsewhere > saved for elsewhere, saved in moved)


def test_a_trial_whose_ranks_lose_a_node_goes_on_with_others(tmp_path: Path) -> None:
    with RayCluster() as cluster:
        first, second = cluster.join(), cluster.join()
        changes = {
            "scheduler": {"name": "none", "max_epochs": 20},
            "resources": {"cpus": 1, "gpus": 2, "spread": True},
        }
        search = NotedSearch(tmp_path, cluster, trials=2, **changes)
        search.wait_until(lambda notes: is_within(notes, first, range(3, 10)))
        assert nodes_of(search.notes()) == {first, second}
        third = cluster.join()
        assert cluster.lose() == first
        search.ended()
    check_whole(search.run, trials=2)
    assert third in nodes_of(search.notes())
    events = read_journal(search.run / "journal.jsonl")
    assert sum(isinstance(event, Attempt) for event in events) == 1


def test_a_search_that_lost_all_nodes_waits_and_goes_on_where_one_joins(tmp_path: Path) -> None:
    with RayCluster() as cluster:
        first = cluster.join()
        search = NotedSearch(tmp_path, cluster, trials=6)
        search.wait_until(lambda notes: len(notes) >= 5)
        assert cluster.lose() == first
        search.wait_for_line(WAITING)
        second = cluster.join()
        search.wait_until(lambda notes: second in nodes_of(notes))
        search.ended()
    check_whole(search.run, trials=6)


def test_the_trials_of_a_lane_group_whose_node_is_lost_go_on_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    run, file = tmp_path / "run", tmp_path / "file.yaml"
    with RayCluster() as cluster:
        cluster.join()
        cluster.join()
        experiment = small(
            scheduler={"name": "none", "max_epochs": 60},
            resources={"cpus": 1, "gpus": 1},
            max_failures=20,
        )
        file.write_text(yaml.safe_dump(experiment.plain()))
        options = ("--run", str(run), "--address", cluster.address, "--engine", "fused")
        process = shoal("search", str(file), *options)
        wait_for_epochs(run, 40, process)
        cluster.lose()
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == 0, error
    check_ended_once(run, trials=12)
    check_trained_as_alone(run)
    assert 1 <= len({event.trial for event in events_of(run, Attempt)}) <= 8
