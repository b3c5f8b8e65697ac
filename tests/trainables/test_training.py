"""One training: it learns, follows its optimizer and schedule, and survives bad luck."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from spaces.settings.train import Schedule
from tests.support.tiny_training import CPU, MODELS, tiny_config, tiny_data, tiny_training
from trainables.data.sources import Split
from trainables.data.splits import Data
from trainables.fitting.optimizer import schedule_factor
from trainables.models.families import build_model
from trainables.training import Training

REFERENCES: dict[str, tuple[dict[str, Any], Any]] = {
    "sgd": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True, weight_decay=0.01, foreach=False),
    ),
    "plain sgd": ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, 0.05, foreach=False)),
    "adam": (
        {"optimizer": "adam", "weight_decay": 0.01},
        lambda p: torch.optim.Adam(p, 0.05, weight_decay=0.01, foreach=False),
    ),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.1, foreach=False),
    ),
    "rmsprop": (
        {"optimizer": "rmsprop", "momentum": 0.5, "weight_decay": 0.01},
        lambda p: torch.optim.RMSprop(p, 0.05, weight_decay=0.01, momentum=0.5, foreach=False),
    ),
}


def whole_batch(**train: Any) -> Training:
    """A training whose every epoch is one step over all samples."""
    return tiny_training(train={"batch_size": 26, "lr": 0.05, **train})


def reference(make_optimizer: Any, steps: int, clip_norm: float | None = None) -> nn.Module:
    """The same training as a bare loop over torch.optim."""
    data, config = tiny_data(), tiny_config()
    model, _ = build_model(config.model, data.input_shape, data.outputs, config.seed)
    optimizer = make_optimizer(model.parameters())
    inputs, targets = torch.tensor(data.train.inputs), torch.tensor(data.train.targets)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
    return model


def assert_same_weights(left: nn.Module, right: nn.Module) -> None:
    torch.testing.assert_close(left.state_dict(), right.state_dict(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("train", "make_optimizer"), REFERENCES.values(), ids=REFERENCES)
def test_optimizers_step_as_a_bare_loop_does(train: dict[str, Any], make_optimizer: Any) -> None:
    training = whole_batch(**train)
    assert len(list(training)) == 4
    assert_same_weights(training.model, reference(make_optimizer, steps=4))


def test_gradients_are_clipped_as_a_bare_loop_does() -> None:
    training = whole_batch(optimizer="sgd", clip_norm=0.01)
    reports = list(training)
    assert all(report.metrics["gradient_norm"] > 0.01 for report in reports)
    expected = reference(REFERENCES["plain sgd"][1], steps=4, clip_norm=0.01)
    assert_same_weights(training.model, expected)


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        ({"name": "constant"}, 39, 1.0),
        ({"name": "exponential", "gamma": 0.5}, 9, 1.0),
        ({"name": "exponential", "gamma": 0.5}, 10, 0.5),
        ({"name": "exponential", "gamma": 0.5}, 39, 0.125),
        ({"name": "inverse_time", "decay": 0.1}, 0, 1.0),
        ({"name": "inverse_time", "decay": 0.1}, 30, 1 / (1 + 0.1 * 30)),
        ({"name": "cosine"}, 0, 1.0),
        ({"name": "cosine"}, 20, 0.5),
        ({"name": "cosine"}, 30, 0.5 * (1 + math.cos(0.75 * math.pi))),
        ({"name": "constant", "warmup_epochs": 2.0}, 0, 1 / 20),
        ({"name": "constant", "warmup_epochs": 2.0}, 9, 0.5),
        ({"name": "constant", "warmup_epochs": 2.0}, 19, 1.0),
        ({"name": "constant", "warmup_epochs": 2.0}, 39, 1.0),
        ({"name": "constant", "warmup_epochs": 0.5}, 1, 0.4),
        ({"name": "inverse_time", "decay": 0.1, "warmup_epochs": 1.0}, 4, 0.5 / 1.4),
        ({"name": "exponential", "gamma": 0.5, "warmup_epochs": 2.0}, 10, 0.5 * 11 / 20),
    ],
)
def test_a_schedule_follows_its_formula(schedule: dict[str, Any], step: int, factor: float) -> None:
    made = Schedule.model_validate(schedule)
    assert schedule_factor(made, step, steps_per_epoch=10, max_epochs=4) == pytest.approx(factor)


def test_the_schedule_reaches_the_optimizer_and_the_report() -> None:
    training = whole_batch(schedule={"name": "inverse_time", "decay": 0.5})
    rates = [report.metrics["learning_rate"] for report in training]
    assert rates == pytest.approx([0.05 / (1 + 0.5 * step) for step in range(4)])


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("family", ["mlp", "convnet"])
def test_the_loss_falls(family: str, regression: bool) -> None:
    model = {"family": family}
    training = tiny_training(regression=regression, model=model, epochs=15, max_epochs=15)
    losses = [report.metrics["val_loss"] for report in training]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("regression", [False, True])
def test_a_report_holds_the_metrics_of_its_task(regression: bool) -> None:
    report = next(tiny_training(regression=regression))
    accuracies = set() if regression else {"train_accuracy", "val_accuracy"}
    common = {"train_loss", "val_loss", "learning_rate", "gradient_norm"}
    assert report.metrics.keys() == common | accuracies


@pytest.mark.parametrize("regression", [False, True])
def test_the_validation_loss_is_the_mean_over_all_samples(regression: bool) -> None:
    training = tiny_training(regression=regression)
    reported = next(training).metrics["val_loss"]
    split = tiny_data(regression).validation
    loss: Any = F.mse_loss if regression else F.cross_entropy
    outputs = training.model.eval()(torch.tensor(split.inputs))
    assert reported == pytest.approx(loss(outputs, torch.tensor(split.targets)).item())


def test_losses_are_reported_every_50_steps_and_at_the_end_of_an_epoch() -> None:
    training = tiny_training(tiny_data(train=120), train={"batch_size": 1})
    first, second = next(training), next(training)
    assert [step for step, _ in first.steps] == [50, 100, 120]
    assert [step for step, _ in second.steps] == [170, 220, 240]
    whole = sum(loss * n for (_, loss), n in zip(first.steps, (50, 50, 20), strict=True)) / 120
    assert first.metrics["train_loss"] == pytest.approx(whole, rel=1e-4)


def test_every_sample_is_seen_once_an_epoch_in_another_order_each_epoch() -> None:
    data = tiny_data()
    marked = np.arange(26, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 4))
    marked_data = replace(data, train=Split(marked.astype(np.float32), data.train.targets))
    training = tiny_training(marked_data, model={"hidden": []})
    seen: list[float] = []
    training.model.register_forward_pre_hook(
        lambda module, args: seen.extend(args[0][:, 0, 0, 0].tolist()) if module.training else None
    )
    list(training)
    epochs = [seen[start : start + 26] for start in range(0, len(seen), 26)]
    assert all(sorted(epoch) == list(range(26)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("regression", [False, True])
def test_a_loss_that_is_not_finite_ends_the_epoch_with_no_finite_score(regression: bool) -> None:
    train = {"batch_size": 1, "lr": 1e30, "optimizer": "sgd"}
    data = tiny_data(regression, train=200)
    report = next(tiny_training(data, regression=regression, train=train))
    scores = [
        report.metrics[name] for name in report.metrics if name.endswith(("loss", "accuracy"))
    ]
    assert not any(map(math.isfinite, scores))
    assert len(report.steps) == 1


def test_a_last_batch_of_one_sample_is_left_out_for_batch_norm() -> None:
    model = {"hidden": [6], "norm": "batch"}
    report = next(tiny_training(tiny_data(train=25), model=model))
    assert report.steps[-1][0] == 3
    assert 0 < report.metrics["train_loss"] < 3


def test_read_only_arrays_are_trained_on_without_a_warning() -> None:
    data = tiny_data()
    for split in (data.train, data.validation):
        split.inputs.flags.writeable = split.targets.flags.writeable = False
    assert next(tiny_training(data)).epoch == 1


@pytest.mark.parametrize("family", MODELS)
def test_a_training_leaves_global_random_state_alone_and_ignores_it(family: str) -> None:
    def losses(global_seed: int) -> list[float]:
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        reports = list(tiny_training(model=MODELS[family]))
        assert torch.equal(torch.get_rng_state(), before)
        return [report.metrics["train_loss"] for report in reports]

    assert losses(1) == losses(2)


def test_a_model_that_does_not_fit_the_data_is_refused() -> None:
    flat = tiny_data()
    flat = Data(
        Split(flat.train.inputs.reshape(26, 16), flat.train.targets),
        Split(flat.validation.inputs.reshape(9, 16), flat.validation.targets),
        flat.class_names,
        flat.mean,
        flat.std,
    )
    with pytest.raises(ValueError, match="a convnet needs images"):
        Training(tiny_config(model=MODELS["convnet"]), flat, CPU)


def test_a_loss_that_explodes_ends_the_epoch_at_once_though_it_is_finite() -> None:
    training = tiny_training(
        regression=True, train={"lr": 30.0, "optimizer": "sgd", "batch_size": 8}
    )
    report = next(training)
    assert math.isfinite(report.steps[0][1])
    assert report.steps[0][1] > 1e4
    assert report.metrics["train_loss"] == math.inf
    assert math.isnan(report.metrics["val_loss"])


def test_cross_entropy_on_logits_is_the_negative_log_likelihood_of_the_log_softmax() -> None:
    logits = torch.randn(32, 10, dtype=torch.float64) * 5
    targets = torch.randint(10, (32,))
    first, second = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = F.cross_entropy(first, targets)
    likelihood = F.nll_loss(F.log_softmax(second, dim=1), targets)
    torch.testing.assert_close(loss, likelihood)
    loss.backward()  # type: ignore[no-untyped-call]
    likelihood.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(first.grad, second.grad)
    expected = (torch.softmax(logits, 1) - F.one_hot(targets, 10)) / 32
    torch.testing.assert_close(first.grad, expected)


def test_the_norm_penalty_adds_the_gradient_of_the_tensors_norms() -> None:
    """One step of plain SGD over all samples, with and without it."""
    train = {"optimizer": "sgd", "lr": 0.5}
    plain, penalised = whole_batch(**train), whole_batch(**train, norm_penalty=0.1)
    start = {name: tensor.clone() for name, tensor in plain.model.state_dict().items()}
    first, second = next(plain), next(penalised)
    assert first.metrics["train_loss"] == second.metrics["train_loss"]
    for name, tensor in plain.model.state_dict().items():
        pull = 0.5 * 0.1 * start[name] / start[name].norm()
        torch.testing.assert_close(penalised.model.state_dict()[name], tensor - pull)


def test_the_norm_penalty_of_a_tensor_of_zeros_is_no_nan() -> None:
    training = tiny_training(
        model={"hidden": [6], "init": {"name": "he"}}, train={"norm_penalty": 0.1}
    )
    assert all(math.isfinite(report.metrics["train_loss"]) for report in training)
