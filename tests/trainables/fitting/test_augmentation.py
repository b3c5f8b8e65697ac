"""Crop, flip, cutout and mixup against the plainest way to do them, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from spaces.seeds import derive_seed
from spaces.settings.train import Train
from trainables.fitting.augmentation import augment, crop, cutout, flip, mixup
from trainables.fitting.batch import Batch

IMAGES = torch.arange(1, 301 * 2 * 5 * 6 + 1 - 60).reshape(300, 2, 5, 6).float()
TARGETS = torch.arange(300) % 3
ALL = Train(crop=1, flip=True, cutout=2, mixup=0.4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("padding", [1, 3])
def test_a_crop_is_a_window_of_the_padded_image_and_any_is_drawn(padding: int) -> None:
    places: set[tuple[int, int]] = set()
    span = range(2 * padding + 1)
    for number in range(3):
        found = crop(IMAGES, padding, generator(number))
        padded = F.pad(IMAGES, (padding,) * 4)
        for image, whole in zip(found, padded, strict=True):
            windows = {(y, x): whole[:, y : y + 5, x : x + 6] for y in span for x in span}
            same = [place for place, window in windows.items() if torch.equal(window, image)]
            assert same
            places.update(same[:1])
    assert places == {(y, x) for y in span for x in span}


def test_a_flip_turns_about_half_of_the_images_left_to_right() -> None:
    found = flip(IMAGES, generator())
    turned = [torch.equal(image, whole.flip(2)) for image, whole in zip(found, IMAGES, strict=True)]
    kept = [torch.equal(image, whole) for image, whole in zip(found, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 110 < sum(turned) < 190


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_cutout_is_one_square_in_all_channels_whose_middle_is_any_pixel(side: int) -> None:
    found = cutout(IMAGES, side, generator())
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
    batch = mixup(Batch(IMAGES, TARGETS), 0.3, generator(5))
    order = torch.randperm(300, generator=generator(5))
    for row in range(300):
        other = int(order[row])
        torch.testing.assert_close(batch.inputs[row], 0.3 * IMAGES[row] + 0.7 * IMAGES[other])
        assert batch.partners is not None
        assert (batch.targets[row], batch.partners[row]) == (TARGETS[row], TARGETS[other])
    assert batch.share == 0.3
    assert batch.dominant is batch.partners


def test_mixup_mixes_the_values_of_a_regression() -> None:
    values = torch.randn(300, 2, generator=generator())
    batch = mixup(Batch(IMAGES, values), 0.3, generator(5))
    order = torch.randperm(300, generator=generator(5))
    torch.testing.assert_close(batch.targets, 0.3 * values + 0.7 * values[order])
    assert batch.partners is None


def test_shares_follow_the_beta_distribution() -> None:
    settings = Train(mixup=0.4)
    one = Batch(IMAGES[:2], TARGETS[:2])
    shares = [augment(one, settings, 0, number).share for number in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


@pytest.mark.parametrize("alpha", [1e-300, 100.0])
def test_extreme_shares_are_shares(alpha: float) -> None:
    batch = augment(Batch(IMAGES[:2], TARGETS[:2]), Train(mixup=alpha), 0, 0)
    assert 0.0 <= batch.share <= 1.0
    assert batch.inputs.isfinite().all()


def test_a_batch_is_changed_as_a_function_of_seed_and_number() -> None:
    whole = Batch(IMAGES, TARGETS)
    first, again = augment(whole, ALL, 1, 2), augment(whole, ALL, 1, 2)
    assert torch.equal(first.inputs, again.inputs)
    assert first.share == again.share
    for seed, number in ((1, 3), (2, 2)):
        other = augment(whole, ALL, seed, number)
        assert not torch.equal(first.inputs, other.inputs)
        assert first.share != other.share


def test_one_change_does_not_depend_on_whether_there_are_others() -> None:
    whole = Batch(IMAGES, TARGETS)
    cropped = augment(whole, Train(crop=1), 1, 2).inputs
    both = augment(whole, Train(crop=1, flip=True), 1, 2).inputs
    seed = derive_seed(1, "flip", 2)
    assert torch.equal(both, flip(cropped, generator(seed)))


def test_global_random_state_is_left_alone() -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    augment(Batch(IMAGES, TARGETS), ALL, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # type: ignore[index]


def test_without_settings_a_batch_is_left_as_it_is() -> None:
    batch = Batch(IMAGES, TARGETS)
    assert augment(batch, Train(), 0, 0) is batch
