"""Stock Ray Tune, as its documentation teaches it (``mnist_pytorch`` and the Optuna guide).

A function trainable that builds its DataLoaders with a transform per image and reports once an
epoch; OptunaSearch and ASHAScheduler; one CPU per trial. Everything else is at its default. A
callback notes when the first result came.
"""

from __future__ import annotations

from typing import Any

import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets import MNIST

from benchmarks.yardstick.contenders.training import make_network
from benchmarks.yardstick.jobs import (
    ACTIVATIONS,
    BATCH_SIZE,
    DROPOUT,
    LR,
    REDUCTION_FACTOR,
    Job,
    Task,
    data_root,
    digits,
    split_rows,
)


class Digits(Dataset[tuple[torch.Tensor, int]]):
    """Images with a transform that is applied one by one, as torchvision's datasets do it."""

    def __init__(self, transform: transforms.ToTensor) -> None:
        self.images, self.targets = digits()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.targets[index])


def get_data_loaders(job: Job, seed: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    transform = transforms.ToTensor()
    dataset: Any = (
        Digits(transform)
        if job.name == "digits"
        else MNIST(data_root(), download=True, transform=transform)
    )
    rows, held = split_rows(dataset.targets, job.validation, seed)
    return (
        DataLoader(Subset(dataset, rows), batch_size=BATCH_SIZE, shuffle=True),
        DataLoader(Subset(dataset, held), batch_size=BATCH_SIZE),
    )


def train(config: dict[str, Any]) -> None:
    job = config["job"]
    train_loader, validation_loader = get_data_loaders(job, config["split_seed"])
    model = make_network(job, config)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    criterion = nn.CrossEntropyLoss()
    for _ in range(job.max_epochs):
        model.train()
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for inputs, labels in validation_loader:
                correct += (model(inputs).argmax(1) == labels).sum().item()
        tune.report({"val_accuracy": correct / job.validation})


class NoteResults(tune.Callback):
    def __init__(self, task: Task) -> None:
        self.task = task

    def on_trial_result(self, *args: Any, **kwargs: Any) -> None:
        self.task.note_result()


def main() -> None:
    task = Task.of_command_line()
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(*LR),
            "dropout": tune.uniform(*DROPOUT),
            "activation": tune.choice(list(ACTIVATIONS)),
            "job": task.job,
            "split_seed": task.seed,
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=task.seed),
            scheduler=ASHAScheduler(
                max_t=task.job.max_epochs, grace_period=1, reduction_factor=REDUCTION_FACTOR
            ),
            num_samples=task.trials,
        ),
        run_config=tune.RunConfig(
            storage_path=str(task.folder.resolve()), callbacks=[NoteResults(task)]
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
