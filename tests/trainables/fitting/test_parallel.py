"""Built-in models trained by several ranks: the result is that of one process, but for rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from spaces.problems import InputError
from spaces.training_config import TrainConfig, resolve
from tests.support import examples
from trainables.data.splits import load_data
from trainables.ranks import ALONE, Rank
from trainables.training import Training

RANKS = 3
# SGD: where a gradient is 0 but for rounding (a bias before a norm), Adam makes large steps of it
SGD = {"optimizer": "sgd", "momentum": 0.9, "lr": 0.05}
CONV = {"family": "convnet", "blocks": [{"channels": 6, "pool": 2}], "hidden": [8]}
CASES: dict[str, dict[str, Any]] = {
    "batch norm, and a batch with fewer samples than ranks": {
        "model": {"hidden": [16, 8], "dropout": 0.3, "dropconnect": 0.1, "norm": "batch"},
        "train": {**SGD, "batch_size": 119, "clip_norm": 1.0, "norm_penalty": 1e-3},
    },
    "augmented, in groups": {
        "model": {**CONV, "block_norm": "batch", "block_dropout": 0.2, "norm": "layer"},
        "train": {**SGD, "batch_size": 32, "accumulate": 2, "mixup": 0.4, "crop": 1, "flip": True},
    },
    "weighted": {
        "model": {**CONV, "block_norm": "group"},
        "train": {**SGD, "batch_size": 64, "class_weights": "balanced", "label_smoothing": 0.1},
    },
    "bfloat16": {
        "model": {"hidden": [16], "norm": "batch"},
        "train": {**SGD, "batch_size": 64, "precision": "bfloat16"},
    },
    "two classes": {"dataset": {"classes": ["3", "8"]}, "model": {"hidden": [8]}, "train": SGD},
    "regression": {"dataset": {"name": "diabetes"}, "model": {"hidden": [8]}, "train": SGD},
}


def trained(case: str, rank: Rank) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """The metrics of three epochs, and the weights in the end."""
    changes = CASES[case]
    dataset = {"name": "digits", "subset": 300, **changes.get("dataset", {})}
    space = {"activation": ["relu", "tanh"]}
    experiment = examples.experiment(
        **{**changes, "dataset": dataset}, space=space, baseline=None, metric={}, diagnostics=True
    )
    config = resolve(experiment, {"activation": "tanh"}, seed=3)
    assert isinstance(config, TrainConfig)
    data = load_data(experiment.dataset, experiment.seed)
    training = Training(config, data, torch.device("cpu"), rank)
    return [next(training).metrics for _ in range(3)], training.weights()


def train_as_rank(number: int, folder: str) -> None:
    """What the process of one rank does."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=number, world_size=RANKS
    )
    results = {case: trained(case, Rank(number, RANKS, number)) for case in CASES}
    torch.save(results, f"{folder}/{number}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(train_as_rank, args=(str(folder),), nprocs=RANKS)
    return [torch.load(Path(folder, f"{number}.pt")) for number in range(RANKS)]


@pytest.mark.parametrize("case", CASES)
def test_several_ranks_train_what_one_process_does(case: str, by_rank: list[Any]) -> None:
    metrics, weights = trained(case, ALONE)
    for found, tensors in (results[case] for results in by_rank):
        rough = 300 if case == "bfloat16" else 1  # it has 8 bits for the digits, float32 24
        close = [pytest.approx(epoch, rel=1e-4 * rough, abs=1e-5 * rough) for epoch in metrics]
        assert found == close
        for name, tensor in weights.items():
            torch.testing.assert_close(tensors[name], tensor, rtol=1e-4 * rough, atol=1e-5 * rough)


def test_all_ranks_have_the_very_same_weights(by_rank: list[Any]) -> None:
    for case in CASES:
        first, *others = (results[case][1] for results in by_rank)
        for tensors in others:
            assert all(tensors[name].equal(tensor) for name, tensor in first.items())


def test_a_compiled_model_is_for_one_worker() -> None:
    experiment = examples.experiment(train={"compile": True})
    config = resolve(experiment, {"lr": 0.1, "activation": "relu"}, seed=0)
    assert isinstance(config, TrainConfig)
    data = load_data(experiment.dataset, 0)
    with pytest.raises(InputError, match=r"train\.compile: is for trials of one worker"):
        Training(config, data, torch.device("cpu"), Rank(0, 2, 0))
