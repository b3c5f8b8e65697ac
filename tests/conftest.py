"""What all tests share: a quiet Optuna, real data where it is there, one Ray for the session."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import optuna
import pytest
import ray

from analysis.record.folder import RunFolder, experiment_of
from search.rerun.replay import replay_run
from search.transport.environment import prepare_environment

# CI tries the same examples each time; a developer's run goes on looking for new ones
hypothesis.settings.register_profile(
    "shoal",
    derandomize=bool(os.environ.get("CI")),
    deadline=None,  # nor how fast examples are made: machines are shared, and time decides nothing
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("shoal")


STARTS_RAY = (
    "test_notebook",
    "faults/",
    "test_docs",
    "test_installed",
    "test_end_to_end",
    "search/transport/",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start Ray: they take longest, and wait for processes meanwhile."""

    def starts_no_ray(item: pytest.Item) -> bool:
        place = item.path.relative_to(item.config.rootpath).as_posix()
        return not any(part in place for part in STARTS_RAY)

    items.sort(key=starts_no_ray)


@pytest.fixture(autouse=True, scope="session")
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(autouse=True, scope="session")
def keys_of_a_made_store() -> None:
    """What a made-up object store takes; processes that Ray starts later inherit them."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(autouse=True)
def every_run_replays(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: the decisions of every run that it made are made again, and are the same."""
    yield
    folder = request.node.funcargs.get("tmp_path")
    if folder is None or request.node.get_closest_marker("edits_journals"):
        return
    for file in folder.rglob("journal.jsonl"):
        run = RunFolder(file.parent)
        if not run.has_begun:
            continue
        experiment = experiment_of(run)
        replayed = replay_run(run, experiment, proposals=experiment.sampler.name != "gp")
        assert replayed.difference is None, f"{run.path}: {replayed.difference}"


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One real Ray for all tests that need one: two CPUs and four made-up GPUs."""
    prepare_environment()
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real MNIST and the airplane/bird images; skips where there is none."""
    root = os.environ.get("SHOAL_DATA")
    if root is None or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("SHOAL_DATA names no folder with MNIST/raw")
    return Path(root)
