"""Crop, flip, cutout and mixup against the plainest way to do them, sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.train import Train
from tests.support.tiny_training import CPU, tiny_data
from trainables.data.splits import to_device
from trainables.fitting.augmentation import Augmentation
from trainables.fitting.batch import Batch
from trainables.fitting.batches import Batches
from trainables.models.noise import Steps

IMAGES = torch.arange(1, 301 * 2 * 5 * 6 + 1 - 60).reshape(300, 2, 5, 6).float()
TARGETS = torch.arange(300) % 3
ALL = Train(crop=1, flip=True, cutout=2, mixup=0.4)


WHOLE = Batch(IMAGES, TARGETS)


def augment(batch: Batch, settings: Train, seed: int = 0, number: int = 0) -> Batch:
    """The batch of one training as it is trained on it."""
    steps = Steps([seed], [number], 1)
    augmentation = Augmentation([settings], steps, batch.inputs.shape[1:], batch.inputs)
    return augmentation.apply(batch.stacked(), 0).of_training(0)


@pytest.mark.parametrize("padding", [1, 3])
def test_a_crop_is_a_window_of_the_padded_image_and_any_is_drawn(padding: int) -> None:
    places: set[tuple[int, int]] = set()
    span = range(2 * padding + 1)
    for number in range(3):
        found = augment(WHOLE, Train(crop=padding), number=number).inputs
        padded = F.pad(IMAGES, (padding,) * 4)
        for image, whole in zip(found, padded, strict=True):
            windows = {(y, x): whole[:, y : y + 5, x : x + 6] for y in span for x in span}
            same = [place for place, window in windows.items() if torch.equal(window, image)]
            assert same
            places.update(same[:1])
    assert places == {(y, x) for y in span for x in span}


def test_a_flip_turns_about_half_of_the_images_left_to_right() -> None:
    found = augment(WHOLE, Train(flip=True)).inputs
    turned = [torch.equal(image, whole.flip(2)) for image, whole in zip(found, IMAGES, strict=True)]
    kept = [torch.equal(image, whole) for image, whole in zip(found, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 110 < sum(turned) < 190


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_cutout_is_one_square_in_all_channels_whose_middle_is_any_pixel(side: int) -> None:
    found = augment(WHOLE, Train(cutout=side)).inputs
    middles = set()
    for image, whole in zip(found, IMAGES, strict=True):
        assert torch.equal(image[0] == 0, image[1] == 0)
        assert torch.equal(image[image != 0], whole[image != 0])
        zeros = frozenset((int(y), int(x)) for y, x in (image[0] == 0).nonzero())
        squares = {
            (y, x): frozenset(
                (row, column)
                for row in range(y - side // 2, y - side // 2 + side)
                for column in range(x - side // 2, x - side // 2 + side)
                if 0 <= row < 5 and 0 <= column < 6
            )
            for y in range(5)
            for x in range(6)
        }
        matching = [middle for middle, square in squares.items() if square == zeros]
        assert matching
        middles.update(matching)
    assert len(middles) == 30


def test_mixup_is_that_of_its_paper_by_hand() -> None:
    batch = augment(WHOLE, Train(mixup=0.4))
    assert batch.partners is not None
    assert batch.share is not None
    share = batch.share.item()
    others = []
    for row, image in enumerate(batch.inputs):
        other = (image - share * IMAGES[row]) / (1 - share)
        others.append(int((IMAGES - other).abs().flatten(1).sum(1).argmin()))
        mixture = share * IMAGES[row] + (1 - share) * IMAGES[others[-1]]
        torch.testing.assert_close(image, mixture)
    assert sorted(others) == list(range(300))
    assert torch.equal(batch.targets, TARGETS)
    assert torch.equal(batch.partners, TARGETS[others])
    assert torch.equal(batch.dominant, batch.targets if share >= 0.5 else batch.partners)


def test_mixup_mixes_the_values_of_a_regression() -> None:
    values = IMAGES[:, 0, 0, :2]
    batch = augment(Batch(IMAGES, values), Train(mixup=0.4))
    torch.testing.assert_close(batch.targets, batch.inputs[:, 0, 0, :2])
    assert not torch.equal(batch.targets, values)
    assert batch.partners is None


def test_any_sample_is_the_partner_of_any_about_equally_often() -> None:
    few = Batch(IMAGES[:5], torch.arange(5))
    steps = Steps([0], [0], 2000)
    augmentation = Augmentation([Train(mixup=0.4)], steps, IMAGES.shape[1:], IMAGES)
    counts = torch.zeros(5, 5)
    for step in range(2000):
        partners = augmentation.apply(few.stacked(), step).of_training(0).partners
        counts[torch.arange(5), partners] += 1
    assert (counts - 400).abs().max().item() < 4.5 * math.sqrt(2000 * 0.2 * 0.8)


def test_shares_follow_the_beta_distribution() -> None:
    settings = Train(mixup=0.4)
    one = Batch(IMAGES[:2], TARGETS[:2])
    steps = Steps([0], [0], 2000)
    augmentation = Augmentation([settings], steps, IMAGES.shape[1:], IMAGES)
    shares = [augmentation.apply(one.stacked(), step).share for step in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


@pytest.mark.parametrize("alpha", [1e-300, 100.0])
def test_extreme_shares_are_shares(alpha: float) -> None:
    batch = augment(Batch(IMAGES[:2], TARGETS[:2]), Train(mixup=alpha))
    assert batch.share is not None
    assert 0.0 <= batch.share <= 1.0
    assert batch.inputs.isfinite().all()


def test_a_batch_is_changed_as_a_function_of_seed_and_number() -> None:
    first, again = augment(WHOLE, ALL, 1, 2), augment(WHOLE, ALL, 1, 2)
    assert torch.equal(first.inputs, again.inputs)
    assert first.share == again.share
    for seed, number in ((1, 3), (2, 2)):
        other = augment(WHOLE, ALL, seed, number)
        assert not torch.equal(first.inputs, other.inputs)
        assert first.share != other.share


def test_one_change_does_not_depend_on_whether_there_are_others() -> None:
    plain, mixed = (augment(WHOLE, Train(flip=flip, mixup=0.4), 1, 2) for flip in (False, True))
    assert plain.share == mixed.share
    assert plain.partners is not None
    assert mixed.partners is not None
    assert torch.equal(plain.partners, mixed.partners)
    kept = augment(WHOLE, Train(cutout=2), 1, 2).inputs != 0
    both = augment(WHOLE, Train(cutout=2, flip=True), 1, 2).inputs
    assert torch.equal(both, augment(WHOLE, Train(flip=True), 1, 2).inputs * kept)


SOME = [
    Train(),
    Train(crop=1),
    Train(crop=3, flip=True),
    Train(cutout=3, mixup=0.2),
    Train(flip=True, mixup=1.5),
    ALL,
]


def test_many_trainings_at_once_see_what_each_sees_by_itself() -> None:
    seeds, first = list(range(6)), [0, 250, 7, 255, 256, 1000]
    augmentation = Augmentation(SOME, Steps(seeds, first, 9), IMAGES.shape[1:], IMAGES)
    rows = torch.stack([torch.arange(n, 300, 7)[:40] for n in range(6)])
    for step in (0, 5, 8):
        found = augmentation.apply(Batch(IMAGES[rows], TARGETS[rows]), step)
        for number, settings in enumerate(SOME):
            plain = Batch(IMAGES[rows[number]], TARGETS[rows[number]])
            alone = augment(plain, settings, seeds[number], first[number] + step)
            ours = found.of_training(number)
            assert torch.equal(ours.inputs, alone.inputs)
            assert torch.equal(ours.dominant, alone.dominant)
            if settings.mixup:
                assert ours.partners is not None
                assert alone.partners is not None
                assert torch.equal(ours.partners, alone.partners)
                assert ours.share == alone.share


def test_a_training_without_mixup_is_left_as_it_is_beside_one_with_it() -> None:
    """Even where the others of its batch are no numbers."""
    inputs = IMAGES.expand(2, *IMAGES.shape).clone()
    inputs[0, 0] = float("inf")
    batch = Batch(inputs, TARGETS.expand(2, -1))
    steps = Steps([0, 1], [0, 0], 1)
    augmentation = Augmentation([Train(), Train(mixup=0.4)], steps, IMAGES.shape[1:], IMAGES)
    found = augmentation.apply(batch, 0).of_training(0)
    assert torch.equal(found.inputs[1:], IMAGES[1:])
    assert found.partners is not None
    assert torch.equal(found.partners, TARGETS)


def test_a_training_by_itself_sees_the_changes_of_each_number() -> None:
    split = to_device(tiny_data().train, tiny_data(), CPU)
    rows = torch.arange(8)
    batches = Batches(split, ALL, seed=3)
    for number in (0, 255, 256, 257, 255, 5000):  # forwards, and back as after a restart
        expected = augment(batches.plain(rows), ALL, 3, number)
        found = batches.prepare(rows, number)
        assert torch.equal(found.inputs, expected.inputs)
        assert found.share == expected.share


def test_global_random_state_is_left_alone() -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    augment(WHOLE, ALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # type: ignore[index]


def test_without_settings_a_batch_is_left_as_it_is() -> None:
    steps = Steps([0, 1], [0, 0], 1)
    augmentation = Augmentation([Train(), Train()], steps, IMAGES.shape[1:], IMAGES)
    batch = Batch(IMAGES[None].expand(2, *IMAGES.shape), TARGETS.expand(2, -1))
    assert augmentation.apply(batch, 0) is batch
