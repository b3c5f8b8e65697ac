"""Ray Tune, tuned by somebody who knows it well.

A class trainable with reset_config, so that ``reuse_actors`` spares the start of a process for each
trial; the data in the object store, from where workers map it; no checkpoints, no loggers and no
progress table, for nobody reads them here.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.yardstick.contenders.stock_tune import NoteResults
from benchmarks.yardstick.contenders.training import Training
from benchmarks.yardstick.jobs import (
    ACTIVATIONS,
    DROPOUT,
    LR,
    REDUCTION_FACTOR,
    Arrays,
    Job,
    Task,
    load_arrays,
)


class Trainable(tune.Trainable):
    def setup(self, config: dict[str, Any], job: Job, train: Arrays, held: Arrays) -> None:
        self._given = job, train, held
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._training = Training(*self._given, new_config)
        return True

    def step(self) -> dict[str, float]:
        return {"val_accuracy": self._training.epoch()}


def main() -> None:
    task = Task.of_command_line()
    train, held = load_arrays(task.job, task.seed)
    trainable = tune.with_parameters(Trainable, job=task.job, train=train, held=held)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(*LR),
            "dropout": tune.uniform(*DROPOUT),
            "activation": tune.choice(list(ACTIVATIONS)),
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=task.seed),
            scheduler=ASHAScheduler(
                max_t=task.job.max_epochs, grace_period=1, reduction_factor=REDUCTION_FACTOR
            ),
            num_samples=task.trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(task.folder.resolve()),
            callbacks=[NoteResults(task)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    results = tuner.fit()
    assert not results.errors
    task.finish(
        trials=len(results),
        epochs=sum(result.metrics["training_iteration"] for result in results),
        best=results.get_best_result().metrics["val_accuracy"],
    )


if __name__ == "__main__":
    main()
