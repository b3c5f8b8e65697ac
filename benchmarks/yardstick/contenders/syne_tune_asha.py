"""Syne Tune's ASHA on its local backend, as its documentation teaches it.

Each trial is a process that runs ``syne_tune_script.py``; two at a time. ASHA proposes at random.
The tuner looks for results ten times a second, not every five seconds: these trials are short.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from syne_tune import Tuner
from syne_tune.backend import LocalBackend
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, uniform
from syne_tune.optimizer.baselines import ASHA
from syne_tune.tuner_callback import TunerCallback
from syne_tune.tuning_status import TuningStatus

from benchmarks.yardstick.jobs import (
    ACTIVATIONS,
    DROPOUT,
    LR,
    REDUCTION_FACTOR,
    WORKERS,
    Task,
)


class Results(TunerCallback):
    """The last score and epoch of each trial."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.last: dict[int, tuple[int, float]] = {}

    def on_trial_result(
        self, trial: Trial, status: str, result: dict[str, Any], decision: str
    ) -> None:
        self.task.note_result()
        self.last[trial.trial_id] = result["epoch"], result["val_accuracy"]


def main() -> None:
    task = Task.of_command_line()
    os.environ["OMP_NUM_THREADS"] = "1"  # two trials share two cores
    results = Results(task)

    def is_enough(status: TuningStatus) -> bool:
        return status.num_trials_started >= task.trials

    Tuner(
        trial_backend=LocalBackend(str(Path(__file__).with_name("syne_tune_script.py"))),
        scheduler=ASHA(
            {
                "lr": loguniform(*LR),
                "dropout": uniform(*DROPOUT),
                "activation": choice(list(ACTIVATIONS)),
                "job": task.job.name,
                "split_seed": task.seed,
            },
            metric="val_accuracy",
            time_attr="epoch",
            max_t=task.job.max_epochs,
            do_minimize=False,
            random_seed=task.seed,
            grace_period=1,
            reduction_factor=REDUCTION_FACTOR,
        ),
        stop_criterion=is_enough,
        n_workers=WORKERS,
        sleep_time=0.1,
        wait_trial_completion_when_stopping=True,
        callbacks=[results],
    ).run()
    task.finish(
        trials=len(results.last),
        epochs=sum(epoch for epoch, _ in results.last.values()),
        best=max(score for _, score in results.last.values()),
    )


if __name__ == "__main__":
    main()
