"""The loss is PyTorch's own, whole or in pieces; class weights are scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.utils.class_weight import compute_class_weight

from spaces.settings.train import Train
from trainables.fitting.batch import Batch
from trainables.fitting.loss import Loss, training_loss

CLASSES = 4
GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(24, CLASSES, generator=GENERATOR)
TARGETS = torch.randint(0, CLASSES, (24,), generator=GENERATOR)
PARTNERS = torch.randint(0, CLASSES, (24,), generator=GENERATOR)
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 4.0])
SETTINGS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.1},
    {"class_weights": WEIGHTS.tolist()},
    {"label_smoothing": 0.3, "class_weights": WEIGHTS.tolist()},
]


def made(**settings: Any) -> Loss:
    return training_loss(Train(**settings), TARGETS, CLASSES)


def reference(targets: torch.Tensor, **settings: Any) -> torch.Tensor:
    weights = WEIGHTS if "class_weights" in settings else None
    smoothing = settings.get("label_smoothing", 0.0)
    return F.cross_entropy(OUTPUTS, targets, weights, label_smoothing=smoothing)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_mean_is_that_of_pytorch(settings: dict[str, Any]) -> None:
    found = made(**settings).mean(OUTPUTS, Batch(OUTPUTS, TARGETS))
    torch.testing.assert_close(found, reference(TARGETS, **settings))


@pytest.mark.parametrize("settings", SETTINGS)
def test_pieces_divided_by_the_divisor_of_all_add_up_to_the_mean(settings: dict[str, Any]) -> None:
    loss = made(**settings)
    pieces = [Batch(OUTPUTS[i : i + 5], TARGETS[i : i + 5]) for i in range(0, 24, 5)]
    divisor = sum(loss.divisor(piece) for piece in pieces)
    found = sum(loss.total(piece.inputs, piece) / divisor for piece in pieces)
    torch.testing.assert_close(found, reference(TARGETS, **settings))


@pytest.mark.parametrize("settings", SETTINGS[:2])
def test_the_loss_of_mixed_samples_is_the_mixed_loss(settings: dict[str, Any]) -> None:
    batch = Batch(OUTPUTS, TARGETS, PARTNERS, share=torch.tensor(0.7))
    expected = 0.7 * reference(TARGETS, **settings) + 0.3 * reference(PARTNERS, **settings)
    torch.testing.assert_close(made(**settings).mean(OUTPUTS, batch), expected)


def test_mixed_samples_weigh_as_much_as_their_classes() -> None:
    batch = Batch(OUTPUTS, TARGETS, PARTNERS, share=torch.tensor(0.7))
    found = made(class_weights=WEIGHTS.tolist()).mean(OUTPUTS, batch)
    logs = -OUTPUTS.log_softmax(1)
    total = weight = torch.zeros(())
    for row in range(24):
        for target, share in ((TARGETS[row], 0.7), (PARTNERS[row], 0.3)):
            total = total + share * WEIGHTS[target] * logs[row, target]
            weight = weight + share * WEIGHTS[target]
    torch.testing.assert_close(found, total / weight)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    targets = torch.tensor([0] * 5 + [1] * 30 + [2] * 1 + [3] * 9)
    loss = training_loss(Train(class_weights="balanced"), targets, CLASSES)
    expected = compute_class_weight("balanced", classes=np.arange(CLASSES), y=targets.numpy())
    for row, weight in enumerate(expected):
        batch = Batch(OUTPUTS[:1], torch.tensor([row]))
        assert float(loss.divisor(batch)) == pytest.approx(weight)


def test_a_class_without_training_samples_makes_no_weight_infinite() -> None:
    loss = training_loss(Train(class_weights="balanced"), torch.tensor([0, 0, 1]), CLASSES)
    assert loss.mean(OUTPUTS, Batch(OUTPUTS, TARGETS)).isfinite()


def test_a_regression_has_the_mean_squared_error_over_all_targets() -> None:
    values = torch.randn(24, CLASSES, generator=GENERATOR)
    loss = training_loss(Train(), values, CLASSES)
    torch.testing.assert_close(
        loss.mean(OUTPUTS, Batch(OUTPUTS, values)), F.mse_loss(OUTPUTS, values)
    )
