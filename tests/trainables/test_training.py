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

from tests.support.tiny_training import CPU, MODELS, tiny_config, tiny_data, tiny_training
from trainables.data.sources import Split
from trainables.data.splits import Data
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
    of_classes = set() if regression else {"train_accuracy", "val_accuracy", "val_f1"}
    common = {"train_loss", "val_loss", "learning_rate", "gradient_norm"}
    assert report.metrics.keys() == common | of_classes


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
        value for name, value in report.metrics.items() if name.startswith(("train_", "val_"))
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


ACCUMULATED: list[dict[str, Any]] = [
    {"class_weights": [1, 2, 9], "label_smoothing": 0.1},
    {"norm_penalty": 0.1, "clip_norm": 0.05},
    {"schedule": {"name": "inverse_time", "decay": 0.5, "warmup_epochs": 1.5}},
]


@pytest.mark.parametrize(
    ("regression", "train"),
    [(False, {}), (True, {}), *((False, train) for train in ACCUMULATED)],
)
def test_batches_of_one_step_are_one_batch_of_their_sizes(
    regression: bool, train: dict[str, Any]
) -> None:
    def made(**sizes: int) -> Training:
        return tiny_training(
            tiny_data(regression, train=43),
            regression=regression,
            model={"hidden": [6], "norm": "layer"},
            train={"optimizer": "sgd", "lr": 0.1, **train, **sizes},
        )

    pieces, whole = made(batch_size=4, accumulate=3), made(batch_size=12)
    for ours, expected in zip(pieces, whole, strict=True):
        assert dict(ours.steps) == pytest.approx(dict(expected.steps))
        assert ours.metrics == pytest.approx(expected.metrics, rel=1e-4)
    assert_same_weights(pieces.model, whole.model)


def test_the_last_step_of_an_epoch_may_have_fewer_batches() -> None:
    training = tiny_training(train={"batch_size": 8, "accumulate": 3})  # 8 + 8 + 8, then 2
    reports = list(training)
    assert [step for report in reports for step, _ in report.steps] == [2, 4, 6, 8]


def test_more_batches_than_there_are_make_one_step_an_epoch() -> None:
    assert next(tiny_training(train={"accumulate": 1000})).steps[-1][0] == 1


def test_each_batch_of_a_step_has_noise_of_its_own() -> None:
    """Two halves of a step with the same samples: the same mask would give the same outputs."""
    data = tiny_data(train=2)
    same = Split(data.train.inputs[[0, 0, 0, 0]], data.train.targets[[0, 0, 0, 0]])
    model = {"hidden": [64], "dropout": 0.5}
    training = tiny_training(
        replace(data, train=same), model=model, train={"batch_size": 2, "accumulate": 2}
    )
    outputs: list[torch.Tensor] = []
    training.model.register_forward_hook(
        lambda module, _, output: outputs.append(output.detach()) if module.training else None
    )
    next(training)
    assert len(outputs) == 2
    assert not torch.equal(*outputs)


@pytest.mark.parametrize("family", MODELS)
def test_bfloat16_learns_about_the_same_and_keeps_weights_and_states_in_float32(
    family: str,
) -> None:
    def trained(precision: str) -> tuple[Training, list[float]]:
        train = {"batch_size": 8, "lr": 0.02, "precision": precision}
        training = tiny_training(model=MODELS[family], train=train)
        return training, [report.metrics["val_loss"] for report in training]

    training, losses = trained("bfloat16")
    _, exact = trained("float32")
    assert losses != exact
    assert losses == pytest.approx(exact, abs=0.05)
    held = [*training.weights().values()]
    held += [t for s in training.optimizer.state.values() for t in s.values()]
    assert {t.dtype for t in held if t.is_floating_point()} == {torch.float32}


def test_bfloat16_computes_the_layers_in_bfloat16_while_training_only() -> None:
    training = tiny_training(train={"batch_size": 8, "precision": "bfloat16"})
    seen: list[tuple[bool, torch.dtype]] = []
    training.model[1].register_forward_hook(
        lambda module, _, output: seen.append((module.training, output.dtype))
    )
    next(training)
    training.signals()
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)} | {(True, torch.float32)}


def test_a_training_with_mixed_samples_counts_the_class_with_the_larger_share() -> None:
    """With a share near 1 or 0 every sample is one of the data, and its class can be learnt."""
    train = {"batch_size": 8, "lr": 0.05, "mixup": 1e-6}
    reports = list(tiny_training(train=train, epochs=60, max_epochs=60))
    assert reports[-1].metrics["train_accuracy"] > 0.9
