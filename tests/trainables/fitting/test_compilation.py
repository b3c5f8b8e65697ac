"""A model is compiled once for all trainings of a process whose models have the same layers."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces.problems import InputError
from tests.support.tiny_training import MODELS, tiny_data, tiny_training
from trainables.fitting import compilation
from trainables.training import Training

HAS_COMPILER = shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").exists()


class CountingBackend:
    """Counts the graphs that PyTorch would have compiled, and runs them as they are."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        self.graphs += 1
        return graph.forward


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingBackend]:
    counting = CountingBackend()
    monkeypatch.setattr(compilation, "BACKEND", counting)
    yield counting
    torch.compiler.reset()


def compiled(model: dict[str, Any], seed: int = 3, **train: Any) -> Training:
    settings = {"batch_size": 8, "lr": 0.05, "compile": True, **train}
    return tiny_training(model=model, train=settings, seed=seed)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", MODELS)
def test_only_the_first_epoch_of_the_first_training_compiles(
    backend: CountingBackend, model: str, precision: str
) -> None:
    first = compiled(MODELS[model], precision=precision)
    next(first)
    assert backend.graphs == 1
    list(first)
    list(compiled(MODELS[model], seed=4, precision=precision, optimizer="sgd", lr=0.01))
    assert backend.graphs == 1


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("mlp", {"dropout": 0.6}),
        ("dropconnect", {"dropconnect": 0.6}),
        ("convnet", {"dropout": 0.6, "block_dropout": 0.5}),
    ],
)
def test_another_dropout_rate_compiles_nothing_and_counts(
    backend: CountingBackend, model: str, rates: dict[str, float]
) -> None:
    losses = [
        next(compiled(settings)).metrics["train_loss"]
        for settings in (MODELS[model], {**MODELS[model], **rates})
    ]
    assert backend.graphs == 1
    plain = tiny_training(model={**MODELS[model], **rates})
    assert losses[1] == next(plain).metrics["train_loss"]
    assert losses[0] != losses[1]


def test_each_of_many_architectures_is_compiled_once(backend: CountingBackend) -> None:
    models = [{"hidden": [size], "dropout": 0.1} for size in range(3, 15)]
    for _ in range(2):
        for model in models:
            next(compiled(model))
        assert backend.graphs == len(models)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_graph_gives_the_same_training(backend: CountingBackend, model: str) -> None:
    plain, other = tiny_training(model=MODELS[model]), compiled(MODELS[model])
    assert list(other) == list(plain)
    assert backend.graphs == 1
    weights = plain.weights()
    assert other.weights().keys() == weights.keys()
    assert all(torch.equal(weights[name], held) for name, held in other.weights().items())
    assert not any("_orig_mod" in name for name in other.state_dict()["model"])


def test_two_trainings_that_take_turns_keep_their_own_weights(backend: CountingBackend) -> None:
    model = MODELS["mlp"]
    alone = [list(compiled(model, seed=seed)) for seed in (1, 2)]
    both = [compiled(model, seed=seed) for seed in (1, 2)]
    reports = [[next(training) for training in both] for _ in range(4)]
    assert [list(column) for column in zip(*reports, strict=True)] == alone


def test_a_smaller_last_batch_is_not_compiled(backend: CountingBackend) -> None:
    training = tiny_training(
        tiny_data(train=21), model=MODELS["mlp"], train={"batch_size": 8, "compile": True}
    )
    next(training)
    assert backend.graphs == 1


def test_a_training_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    training = compiled(MODELS["mlp"])
    with pytest.raises(InputError, match=r"train.compile: needs a C\+\+ compiler, and there is no"):
        next(training)


def test_a_training_without_pythons_headers_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "g++").touch(mode=0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    training = compiled(MODELS["mlp"])
    with pytest.raises(InputError, match=r"train.compile: needs Python's headers, and there is no"):
        next(training)


def test_a_model_that_is_only_evaluated_needs_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compiled(MODELS["mlp"]).evaluate()["accuracy"] >= 0.0


@pytest.mark.slow
@pytest.mark.skipif(not HAS_COMPILER, reason="there is no C++ compiler, or no Python.h")
@pytest.mark.parametrize(
    ("model", "precision"),
    [("mlp", "float32"), ("convnet", "float32"), ("dropconnect", "bfloat16")],
)
def test_compiled_code_trains_to_the_same_scores(model: str, precision: str) -> None:
    """With plain SGD: Adam turns the rounding of gradients that should be 0 into whole steps."""
    changes = {"model": MODELS[model], "epochs": 2, "max_epochs": 2}
    train = {"batch_size": 8, "optimizer": "sgd", "lr": 0.05, "precision": precision}
    plain = list(tiny_training(**changes, train=train))
    reports = list(tiny_training(**changes, train={**train, "compile": True}))
    tolerance = 1e-4 if precision == "float32" else 0.02
    for report, expected in zip(reports, plain, strict=True):
        for name in ("train_loss", "val_loss"):
            assert report.metrics[name] == pytest.approx(expected.metrics[name], abs=tolerance)
