"""Scores are those of scikit-learn, however a split is cut into batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from tests.support.tiny_training import CPU, tiny_data, tiny_training
from trainables.data.sources import Split
from trainables.data.splits import to_device
from trainables.fitting.batch import Batch
from trainables.fitting.evaluation import Scores, score_names


def scores(outputs: torch.Tensor, targets: torch.Tensor, size: int = 7) -> dict[str, float]:
    """Scores of outputs that are added in batches of ``size``."""
    found = Scores(outputs.shape[1], CPU)
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        found.add(outputs[part], Batch(outputs[part], targets[part]))
    return found.metrics()


def drawn(seed: int, classes: int, present: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with many ties, and targets among the first ``present`` classes."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randint(-3, 4, (90, classes), generator=generator).float()
    targets = torch.randint(0, present or classes, (90,), generator=generator)
    return outputs, targets


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("classes", "present"), [(2, 2), (2, 1), (3, 3), (5, 3), (10, 10)])
def test_accuracy_f1_and_loss_are_those_of_scikit_learn(
    classes: int, present: int, seed: int
) -> None:
    outputs, targets = drawn(seed, classes, present)
    taken, labels = outputs.argmax(1), range(classes)
    found = scores(outputs, targets)
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, taken))
    expected = f1_score(targets, taken, labels=labels, average="macro", zero_division=0)
    assert found["f1"] == pytest.approx(expected)
    probabilities = torch.softmax(outputs.double(), 1)
    assert found["loss"] == pytest.approx(log_loss(targets, probabilities, labels=labels))


def test_a_class_that_is_neither_there_nor_taken_for_counts_as_0() -> None:
    outputs = torch.eye(4)[torch.tensor([0, 1, 2])]
    assert scores(outputs, torch.tensor([0, 1, 2]))["f1"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("seed", range(8))
def test_auc_is_that_of_scikit_learn_ties_included(seed: int) -> None:
    outputs, targets = drawn(seed, 2)
    expected = roc_auc_score(targets, outputs[:, 1] - outputs[:, 0])
    assert scores(outputs, targets)["auc"] == pytest.approx(expected)


def test_auc_tells_certain_samples_apart_whose_probabilities_are_all_1() -> None:
    outputs = torch.tensor([[0.0, 200.0], [0.0, 300.0]])
    assert scores(outputs, torch.tensor([0, 1]))["auc"] == 1.0
    assert scores(outputs, torch.tensor([1, 0]))["auc"] == 0.0


@pytest.mark.parametrize("target", [0, 1])
def test_auc_is_left_out_where_a_class_is_not_there(target: int) -> None:
    outputs, _ = drawn(0, 2)
    found = scores(outputs, torch.full((90,), target))
    assert found.keys() == {"loss", "accuracy", "f1"}


@pytest.mark.parametrize("classes", [2, 3])
def test_batches_of_any_size_give_the_same_scores(classes: int) -> None:
    outputs, targets = drawn(3, classes)
    whole = scores(outputs, targets, size=90)
    for size in (1, 13, 89):
        assert scores(outputs, targets, size) == pytest.approx(whole)


def test_score_names_are_those_that_an_evaluation_has() -> None:
    for classes in (2, 3):
        assert set(score_names(classes)) == scores(*drawn(0, classes)).keys()


SMOOTHED: dict[str, Any] = {
    "label_smoothing": 0.3,
    "class_weights": [1, 2, 9],
    "mixup": 0.4,
    "precision": "bfloat16",
}


def test_the_validation_loss_is_plain_cross_entropy_in_float32_however_it_was_trained() -> None:
    data = tiny_data()
    training = tiny_training(train={"batch_size": 8, **SMOOTHED})
    report = next(training)
    assert report.metrics["val_loss"] == tiny_scores(training.weights(), data.validation)["loss"]


def tiny_scores(weights: dict[str, torch.Tensor], split: Split) -> dict[str, float]:
    """The scores of weights in a training without any settings."""
    plain = tiny_training()
    plain.model.load_state_dict(weights)
    return plain.evaluate(to_device(split, tiny_data(), CPU))


def test_the_scores_of_a_model_are_those_of_its_outputs() -> None:
    training = tiny_training()
    next(training)
    split = tiny_data().validation
    outputs = training.model.eval()(torch.from_numpy(split.inputs)).detach()
    targets = torch.from_numpy(np.asarray(split.targets))
    assert training.evaluate() == pytest.approx(scores(outputs, targets))
