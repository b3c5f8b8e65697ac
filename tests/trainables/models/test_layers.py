"""Dropout noise, initialisation and normalisation layers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from spaces.settings.model import Init
from trainables.models.layers import DropConnect, Dropout, init_weights, make_norm
from trainables.models.noise import Noise

LINEAR_SHAPE = (300, 500)  # (out, in)
CONV_SHAPE = (64, 32, 5, 5)  # fan_in 800, fan_out 1600


def drawn(layer: nn.Module, seed: int = 0, **init: Any) -> torch.Tensor:
    """The weight of the layer after initialisation."""
    init_weights(layer, Init(**init), torch.Generator().manual_seed(seed))
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def linear() -> nn.Linear:
    return nn.Linear(LINEAR_SHAPE[1], LINEAR_SHAPE[0])


def conv() -> nn.Conv2d:
    return nn.Conv2d(CONV_SHAPE[1], CONV_SHAPE[0], CONV_SHAPE[2])


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("name", "mode", "make", "std"),
    [
        ("xavier", "fan_in", linear, math.sqrt(2 / 800)),
        ("xavier", "fan_in", conv, math.sqrt(2 / 2400)),
        ("he", "fan_in", linear, math.sqrt(2 / 500)),
        ("he", "fan_out", linear, math.sqrt(2 / 300)),
        ("he", "fan_in", conv, math.sqrt(2 / 800)),
        ("he", "fan_out", conv, math.sqrt(2 / 1600)),
    ],
)
def test_weights_spread_as_the_papers_say(
    name: str, mode: str, make: Any, std: float, distribution: str
) -> None:
    weight = drawn(make(), name=name, mode=mode, distribution=distribution)
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=std / 50)
    bound = weight.abs().max().item()
    if distribution == "uniform":
        assert 0.99 * math.sqrt(3) * std < bound <= math.sqrt(3) * std * (1 + 1e-6)
    else:
        assert bound > 3 * std


def test_normal_weights_have_the_std_asked_for() -> None:
    assert drawn(linear(), name="normal", std=0.2).std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize("make", [linear, conv])
def test_orthogonal_weights_have_orthonormal_rows(make: Any) -> None:
    rows = drawn(make(), name="orthogonal").flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)


def test_biases_start_at_zero() -> None:
    layer = linear()
    drawn(layer, name="he")
    assert not layer.bias.any()


def test_default_leaves_pytorchs_own_weights() -> None:
    layer = linear()
    before = layer.weight.detach().clone()
    assert torch.equal(drawn(layer, name="default"), before)


@pytest.mark.parametrize("name", ["normal", "xavier", "he", "orthogonal"])
def test_weights_are_a_function_of_the_seed(name: str) -> None:
    assert torch.equal(drawn(linear(), 1, name=name), drawn(linear(), 1, name=name))
    assert not torch.equal(drawn(linear(), 1, name=name), drawn(linear(), 2, name=name))


def test_dropout_leaves_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    Dropout(0.5, Noise(0), 0)(torch.ones(4, 4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate: float) -> None:
    outputs = Dropout(rate, Noise(0), 0)(torch.ones(400, 400))
    assert (outputs == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.03)


def test_dropout_does_nothing_in_evaluation() -> None:
    inputs = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Dropout(0.9, Noise(0), 0).eval()(inputs), inputs)


def test_channel_dropout_drops_whole_planes() -> None:
    planes = Dropout(0.5, Noise(0), 0, channels=True)(torch.ones(20, 10, 3, 3)).flatten(2)
    assert torch.equal(planes, planes[:, :, :1].expand_as(planes))
    assert 0.4 < (planes[:, :, 0] == 0).float().mean().item() < 0.6


def test_gradients_flow_only_where_values_were_kept() -> None:
    inputs = torch.ones(8, 8, requires_grad=True)
    outputs = Dropout(0.5, Noise(0), 0)(inputs)
    outputs.sum().backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, outputs.detach())


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("name", ["layer", "group"])
def test_a_norm_over_samples_gives_each_mean_zero(name: str, spatial: bool) -> None:
    norm = make_norm(name, 12, groups=8, spatial=spatial)
    assert norm is not None
    generator = torch.Generator().manual_seed(0)
    inputs = 5 + 3 * torch.randn(4, 12, *((6, 6) if spatial else ()), generator=generator)
    outputs = norm(inputs).flatten(1)
    torch.testing.assert_close(outputs.mean(1), torch.zeros(4), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("features", "groups", "taken"), [(12, 8, 6), (16, 8, 8), (7, 4, 1), (4, 9, 4)]
)
def test_group_norm_takes_the_largest_divisor_not_above_the_groups(
    features: int, groups: int, taken: int
) -> None:
    norm = make_norm("group", features, groups, spatial=False)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == taken


def dropconnect(rate: float = 0.3, seed: int = 5) -> DropConnect:
    torch.manual_seed(0)
    return DropConnect(200, 300, rate, Noise(seed), layer=2)


def test_dropconnect_drops_single_weights_and_keeps_their_expectation() -> None:
    layer = dropconnect()
    weights = layer(torch.eye(200)).T - layer.bias[:, None]  # what each weight is in this step
    dropped = (weights == 0).float().mean().item()
    assert dropped == pytest.approx(0.3, abs=0.01)
    kept = weights != 0
    torch.testing.assert_close(weights[kept], layer.weight[kept] / 0.7)


def test_at_evaluation_dropconnect_is_a_linear_layer() -> None:
    layer, inputs = dropconnect().eval(), torch.randn(4, 200)
    torch.testing.assert_close(
        layer(inputs), nn.functional.linear(inputs, layer.weight, layer.bias)
    )


def test_the_mean_of_many_dropconnect_steps_is_what_it_gives_at_evaluation() -> None:
    layer, inputs = dropconnect(), torch.ones(1, 200)
    total = torch.zeros(1, 300)
    for step in range(2000):
        layer.noise.step = step
        total += layer(inputs).detach()
    expected = layer.eval()(inputs)
    spread = (layer.weight**2).sum(1).mul(0.3 / 0.7).sqrt() / math.sqrt(2000)
    assert ((total / 2000 - expected).abs() / spread).max() < 5


def test_dropconnect_is_a_function_of_seed_step_and_layer() -> None:
    first, same, other = dropconnect(), dropconnect(), dropconnect(seed=6)
    inputs = torch.randn(3, 200)
    assert torch.equal(first(inputs), same(inputs))
    assert not torch.equal(first(inputs), other(inputs))
    same.noise.step = 1
    assert not torch.equal(first(inputs), same(inputs))


def test_layer_norm_takes_each_sample_by_itself() -> None:
    for norm, shape in (
        (make_norm("layer", 8, 4, False), (5, 8)),
        (make_norm("layer", 8, 4, True), (5, 8, 6, 6)),
    ):
        assert norm is not None
        inputs = torch.randn(shape)
        alone = torch.cat([norm(sample[None]) for sample in inputs])
        torch.testing.assert_close(norm(inputs), alone)
        torch.testing.assert_close(alone.flatten(1).mean(1), torch.zeros(5), atol=1e-5, rtol=0)
