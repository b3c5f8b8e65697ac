"""Optuna alone: TPE and successive halving, one trial after the other in this process.

The data are in memory. Optuna has no workers of its own, and its threads would share Python's lock;
PyTorch has as many threads as it takes by default.
"""

from __future__ import annotations

import optuna

from benchmarks.yardstick.contenders.training import Training
from benchmarks.yardstick.jobs import (
    ACTIVATIONS,
    DROPOUT,
    LR,
    REDUCTION_FACTOR,
    Task,
    load_arrays,
)


def main() -> None:
    task = Task.of_command_line()
    train, held = load_arrays(task.job, task.seed)

    def objective(trial: optuna.Trial) -> float:
        params = {
            "lr": trial.suggest_float("lr", *LR, log=True),
            "dropout": trial.suggest_float("dropout", *DROPOUT),
            "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
        }
        training = Training(task.job, train, held, params)
        for epoch in range(1, task.job.max_epochs + 1):
            accuracy = training.epoch()
            trial.report(accuracy, epoch)
            task.note_result()
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=task.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(1, REDUCTION_FACTOR),
    )
    study.optimize(objective, n_trials=task.trials)
    curves = [trial.intermediate_values for trial in study.trials]
    task.finish(
        trials=len(study.trials),
        epochs=sum(map(len, curves)),
        best=max(curve[max(curve)] for curve in curves),
    )


if __name__ == "__main__":
    main()
