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


RAYS_OWN = {"faults", "test_docs.py", "test_installed.py"}  # whose processes start Ray


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several processes of pytest, one starts Ray, at once; a file's other tests stay together.

    With ``--no-loadscope-reorder`` the groups begin in this order: what takes longest is first.
    """
    for item in items:
        place = item.path.relative_to(item.config.rootpath)
        has_ray = "local_ray" in getattr(item, "fixturenames", ()) or RAYS_OWN & {*place.parts}
        item.add_marker(pytest.mark.xdist_group("ray" if has_ray else place.as_posix()))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args != ("ray",))


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
