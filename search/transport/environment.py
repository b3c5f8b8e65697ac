"""What Ray and Tune read from the environment; set before Ray is imported, inherited by workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # keep Ray's note on CUDA_VISIBLE_DEVICES away
    "RAY_DEDUP_LOGS_SKIP_REGEX": "worker died or was killed",  # the view tells that, in a line
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # the user's code finds its files where it was started
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # ours is added to that of ray job submit
    "RAY_prestart_worker_first_driver": "0",  # they lack our runtime_env, so no trial takes them
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # or Tune and the journal count differently
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(365 * 24 * 3600),  # Tune's own snapshots are never read
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # processes start side by side; slots bound their number
    "TUNE_RESULT_BUFFER_LENGTH": "1",  # a worker may forget what the driver has taken
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # off, Ray binds to localhost, on any system


def prepare_environment(address: str | None = None) -> None:
    """Set what Ray and Tune read from the environment.

    Args:
        address: of a Ray cluster. None: Ray will run on this machine only, and shall listen on no
            other address than localhost, which it reads as it is imported.
    """
    logging.getLogger("ray.widgets").setLevel(logging.WARNING)  # of packages for notebooks
    os.environ.update(_SETTINGS)
    if address is None:
        os.environ[_CLUSTERS] = "0"


@contextmanager
def restored_environment() -> Iterator[None]:
    """The environment variables are as before in the end."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            os.environ.pop(name, None)  # a thread of own code may have taken it away
        os.environ.update(before)
