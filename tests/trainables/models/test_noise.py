"""What random numbers depend on, and that they look as if they were drawn."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.models.noise import Noise, Steps, hashes, integers, masks, threshold

CPU, HALF = torch.device("cpu"), torch.tensor(0.5, dtype=torch.float64)


def mask(seed: int = 0, step: int = 0, layer: int = 0) -> torch.Tensor:
    noise = Noise(seed)
    noise.step = step
    return noise.keep_mask(torch.Size((8, 32)), CPU, HALF, layer)


def test_a_dropout_mask_is_a_function_of_seed_step_and_layer() -> None:
    assert torch.equal(mask(1, 2, 3), mask(1, 2, 3))
    for other in (mask(2, 2, 3), mask(1, 3, 3), mask(1, 2, 4)):
        assert not torch.equal(other, mask(1, 2, 3))


def test_a_dropout_mask_does_not_depend_on_the_masks_drawn_before() -> None:
    noise = Noise(0)
    noise.keep_mask(torch.Size((5, 7)), CPU, HALF, 9)
    assert torch.equal(noise.keep_mask(torch.Size((8, 32)), CPU, HALF, 0), mask(0, 0, 0))


def test_the_samples_of_one_process_have_their_rows_of_the_whole_mask() -> None:
    noise = Noise(1)
    whole = noise.mask_of_samples(torch.Size((8, 32)), CPU, HALF, 0)
    noise.part = (8, slice(3, 6))
    assert torch.equal(noise.mask_of_samples(torch.Size((3, 32)), CPU, HALF, 0), whole[3:6])


def test_the_masks_of_many_trainings_at_once_are_those_of_each_by_itself() -> None:
    seeds, layers, rates, first = (1, 2, 5), (2, 2, 3), (0.1, 0.5, 0.0), (0, 300, 250)
    keys = Steps(seeds, first, 10).keys(layers, CPU)
    thresholds = torch.tensor(list(map(threshold, rates)), dtype=torch.int32)
    scales = torch.tensor([1 / (1 - rate) for rate in rates])
    for step in range(10):
        at_once = masks(keys[step], thresholds, scales, (8, 32))
        for lane, (seed, layer, rate) in enumerate(zip(seeds, layers, rates, strict=True)):
            noise = Noise(seed)
            noise.step = first[lane] + step
            share = torch.tensor(rate, dtype=torch.float64)
            alone = noise.keep_mask(torch.Size((8, 32)), CPU, share, layer)
            assert torch.equal(at_once[lane], alone)


@pytest.fixture(scope="module")
def kept() -> torch.Tensor:
    """(masks, places) of 0.0 and 1.0, of several seeds, steps and layers."""
    thresholds = torch.full((40,), threshold(0.5), dtype=torch.int32)
    keys = Steps([n // 2 for n in range(40)], [0] * 40, 25).keys([2, 3] * 20, CPU)
    return torch.cat([masks(row, thresholds, torch.ones(40), (32, 64)).flatten(1) for row in keys])


def test_every_mask_and_every_place_is_kept_as_often_as_by_chance(kept: torch.Tensor) -> None:
    for dim, count in ((1, 2048), (0, 1000)):
        off = (kept.mean(dim) - 0.5) * 2 * math.sqrt(count)  # normal(0, 1)
        assert off.std().item() == pytest.approx(1.0, abs=0.1)
        assert off.abs().max().item() < 5.0


def test_neither_two_masks_nor_two_places_have_anything_in_common(kept: torch.Tensor) -> None:
    for values in (kept - 0.5, (kept - 0.5).T):
        correlations = 4 * values @ values.T / math.sqrt(values.shape[1])
        correlations.fill_diagonal_(0.0)
        assert correlations.std().item() == pytest.approx(1.0, abs=0.02)
        assert correlations.abs().max().item() < 6.5


def test_integers_are_below_their_limits_each_as_often_as_by_chance() -> None:
    limits = torch.tensor([1, 2, 5, 28])
    keys = Steps([0], [0], 5).keys(["move"], CPU)
    drawn = torch.stack([integers(hashes(key, (10_000, 4)), limits)[0] for key in keys])
    for number, limit in enumerate(limits.tolist()):
        counts = torch.bincount(drawn[..., number].flatten(), minlength=limit)
        off = (counts - 50_000 / limit) / math.sqrt(50_000 / limit)
        assert len(counts) == limit
        assert off.abs().max().item() < 4.5
    both = 5 * drawn[..., 1] + drawn[..., 2]  # of one sample: they have nothing in common
    assert ((torch.bincount(both.flatten()) - 5000).abs().max().item()) < 4.5 * math.sqrt(5000)


def test_the_ends_of_the_hashes_are_the_lowest_and_the_highest_integer() -> None:
    ends = torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32)
    for limit in (1, 2, 3, 20_001):
        assert integers(ends, torch.tensor(limit)).tolist() == [0, limit - 1]


def test_no_two_hashes_of_a_step_are_equal() -> None:
    keys = Steps([0, 1], [0, 3], 1).keys(["mixup", "mixup"], CPU)
    for found in hashes(keys[0], (4096,)):
        assert len(found.unique()) == 4096
