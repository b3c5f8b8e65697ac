"""The digits job through Shoal and through stock Ray Tune, each in a process of its own, start-up
of both included. Target: Shoal is at least 8 times faster.

40 trials, up to 27 epochs, ASHA, TPE, MLP 64-64-10, Adam, batch 64, one CPU per trial. Shoal runs
``digits.yaml``. The stock script is written as Tune's documentation teaches it (``mnist_pytorch``
and the Optuna guide): a function trainable that builds its DataLoaders with a transform per sample,
``tune.report`` once an epoch, OptunaSearch, ASHAScheduler, everything else at its default. It saves
no checkpoints and writes no TensorBoard steps or journal; Shoal does.

    python benchmarks/stock_tune.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hardware import describe_machine, summarize

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = Path(__file__).with_name("digits.yaml")
MAX_EPOCHS = 27
BATCH_SIZE = 64
HIDDEN = 64
TARGET = 8.0


def run_stock(result_file: Path, trials: int) -> None:
    """The stock script: search, then write how many epochs were trained and the best score."""
    import torch
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    activations = {
        "none": nn.Identity,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
    }

    class Digits(Dataset):  # type: ignore[type-arg]
        """Images with a transform that is applied sample by sample, as torchvision's datasets."""

        def __init__(self, images: Any, labels: Any, transform: Any) -> None:
            self.images, self.labels, self.transform = images, labels, transform

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return self.transform(self.images[index]), int(self.labels[index])

    def get_data_loaders() -> tuple[DataLoader[Any], DataLoader[Any]]:
        digits = load_digits()
        images = (digits.images / 16.0).astype("float32")
        images, _, labels, _ = train_test_split(  # the same sizes as Shoal's: 1149, 288, a test set
            images, digits.target, test_size=0.2, stratify=digits.target, random_state=0
        )
        parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
        transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.3053,), (0.3763,))]
        )
        train = Digits(parts[0], parts[2], transform)
        validation = Digits(parts[1], parts[3], transform)
        return (
            DataLoader(train, batch_size=BATCH_SIZE, shuffle=True),
            DataLoader(validation, batch_size=BATCH_SIZE),
        )

    def train_digits(config: dict[str, Any]) -> None:
        train_loader, validation_loader = get_data_loaders()
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, HIDDEN),
            activations[config["activation"]](),
            nn.Dropout(config["dropout"]),
            nn.Linear(HIDDEN, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
        criterion = nn.CrossEntropyLoss()
        for _ in range(MAX_EPOCHS):
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
            tune.report({"val_accuracy": correct / len(validation_loader.dataset)})  # type: ignore[arg-type]

    tuner = tune.Tuner(
        tune.with_resources(train_digits, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(1e-4, 1.0),
            "dropout": tune.uniform(0.0, 0.7),
            "activation": tune.choice(list(activations)),
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS, grace_period=1, reduction_factor=3),
            num_samples=trials,
        ),
        run_config=tune.RunConfig(storage_path=str(result_file.parent.resolve())),
    )
    results = tuner.fit()
    assert not results.errors
    outcome = {
        "trials": len(results),
        "epochs": sum(result.metrics["training_iteration"] for result in results),
        "best": results.get_best_result().metrics["val_accuracy"],
    }
    result_file.write_text(json.dumps(outcome))


def time_stock(folder: Path, trials: int) -> dict[str, Any]:
    """Run this script's sub-command ``stock`` in a fresh process."""
    result_file = folder / "stock.json"
    script = str(Path(__file__).resolve())
    seconds = _timed([script, "--trials", str(trials), "stock", str(result_file)])
    return {"seconds": seconds, **json.loads(result_file.read_text())}


def time_shoal(folder: Path, trials: int) -> dict[str, Any]:
    """Run ``shoal search digits.yaml`` in a fresh process."""
    from analysis.record.folder import RunFolder
    from analysis.record.journal import read_journal
    from analysis.record.trials import Trials
    from spaces.files import load_experiment

    run = RunFolder(folder / "run")
    search = [
        "-m",
        "search.cli.main",
        "search",
        str(EXPERIMENT),
        "--set",
        f"budget.trials={trials}",
    ]
    seconds = _timed([*search, "--run", str(run.path)])
    trials = Trials(read_journal(run.journal_file))
    metric = load_experiment(run.experiment_file).metric
    return {
        "seconds": seconds,
        "trials": len(trials),
        "epochs": trials.epochs,
        "best": trials.ranked(metric)[0].value(metric),
    }


def _timed(arguments: list[str]) -> float:
    """Seconds that a fresh Python process takes; its output is shown only when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return seconds


def compare(repeats: int, trials: int) -> dict[str, Any]:
    """Run both in turns and set their seconds against each other."""
    runs: dict[str, list[dict[str, Any]]] = {"shoal": [], "stock": []}
    for _ in range(repeats):
        for name, run in (("shoal", time_shoal), ("stock", time_stock)):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                runs[name].append(run(Path(folder), trials))
    figures: dict[str, Any] = {"benchmark": "stock_tune"}
    for name, outcomes in runs.items():
        figures[f"{name}_seconds"] = summarize([run["seconds"] for run in outcomes], digits=1)
        for key in ("trials", "epochs", "best"):
            figures[f"{name}_{key}"] = [run[key] for run in outcomes]
    medians = [statistics.median(run["seconds"] for run in runs[name]) for name in runs]
    return {**figures, "ratio_of_medians": round(medians[1] / medians[0], 2), "target": TARGET}


def main() -> None:
    parser = argparse.ArgumentParser(description="The digits job: Shoal against stock Ray Tune.")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each")
    parser.add_argument("--trials", type=int, default=40, help="fewer: a quick look, no figure")
    commands = parser.add_subparsers(dest="command", metavar="")
    stock = commands.add_parser("stock", help="run the stock script alone, in this process")
    stock.add_argument("result_file", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "stock":
        run_stock(arguments.result_file, arguments.trials)
        return
    packages = ["ray", "optuna", "torch", "torchvision"]
    print(
        json.dumps({**compare(arguments.repeats, arguments.trials), **describe_machine(packages)})
    )


if __name__ == "__main__":
    main()
