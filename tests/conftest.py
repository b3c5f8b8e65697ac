"""What all tests share: a quiet Optuna, real data where it is there, one Ray for the session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from search.cluster import connect


@pytest.fixture(autouse=True, scope="session")
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray on this machine for all tests that need one, with four made-up GPUs."""
    import ray

    os.environ["SHOAL_TEST_GPUS"] = "4"
    connect(None, verbose=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real MNIST and the airplane/bird images; skips where there is none."""
    root = os.environ.get("SHOAL_DATA")
    if root is None or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("SHOAL_DATA names no folder with MNIST/raw")
    return Path(root)
