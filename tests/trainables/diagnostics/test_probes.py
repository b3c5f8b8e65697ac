"""Probes: measures against a calculation by hand, and that they change nothing."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from torch import nn

from tests.support.tiny_training import CPU, MODELS, tiny_config, tiny_data
from trainables.diagnostics.probes import MEASURES, Signals, as_metrics, measure
from trainables.training import Training


def batch() -> torch.Tensor:
    return torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


def model(activation: nn.Module, weight: float = 1.0, bias: float = 0.0) -> nn.Sequential:
    """Three equal units, with the activation, then one output that sums them."""
    first, last = nn.Linear(3, 3), nn.Linear(3, 1)
    with torch.no_grad():
        first.weight.copy_(weight * torch.eye(3))
        first.bias.fill_(bias)
        last.weight.fill_(1.0)
        last.bias.fill_(0.0)
    return nn.Sequential(first, activation, last)


def signals(*args: float, activation: nn.Module) -> list[Signals]:
    return measure(model(activation, *args), batch(), lambda outputs: outputs.square().mean())


def test_the_measures_are_those_calculated_by_hand() -> None:
    inputs = batch()
    hidden = inputs.tanh()
    slope = 2.0 * hidden.sum(dim=1, keepdim=True) / len(inputs)  # of the mean of squares
    first, last = signals(activation=nn.Tanh())
    assert (first.layer, last.layer) == ("01 linear 3-3 tanh", "02 linear 3-1")
    assert first.activation_std == pytest.approx(hidden.std(correction=0).item())
    across = hidden.std(dim=0, correction=0).mean().item()
    assert first.activation_std_across_batch == pytest.approx(across)
    assert first.gradient_std == pytest.approx(slope.expand(-1, 3).std(correction=0).item())
    assert first.gradient_std_across_batch == pytest.approx(slope.std(correction=0).item())
    assert first.saturated == pytest.approx((hidden.abs() > math.sqrt(0.9)).float().mean().item())
    assert last.saturated is None
    assert first.dead == last.dead == 0.0


def test_units_that_never_fire_are_dead() -> None:
    first, last = signals(1.0, -100.0, activation=nn.ReLU())
    assert first.dead == last.dead == 1.0
    assert first.activation_std == first.activation_std_across_batch == 0.0


def test_large_weights_saturate_sigmoid_and_tanh() -> None:
    for activation in (nn.Sigmoid(), nn.Tanh()):
        small, large = (signals(weight, activation=activation)[0] for weight in (0.1, 1000.0))
        assert small.saturated == 0.0
        assert large.saturated is not None
        assert large.saturated > 0.95


def test_units_stuck_at_different_values_look_alive_only_over_all() -> None:
    stuck = model(nn.Sigmoid(), weight=0.0)
    with torch.no_grad():
        stuck[0].bias.copy_(torch.tensor([-3.0, 0.0, 3.0]))
    first, _ = measure(stuck, batch(), lambda outputs: outputs.square().mean())
    assert first.activation_std > 0.3
    assert first.activation_std_across_batch < 1e-6
    assert first.dead == 1.0


@pytest.mark.parametrize("name", MODELS)
def test_a_training_with_diagnostics_is_the_same_training(name: str) -> None:
    plain, probed = (
        Training(tiny_config(model=MODELS[name], diagnostics=diagnostics), tiny_data(), CPU)
        for diagnostics in (False, True)
    )
    for without, with_measures in zip(plain, probed, strict=True):
        assert with_measures.metrics.items() >= without.metrics.items()
    weights = probed.model.state_dict()
    for key, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, weights[key])
    assert plain.model.training == probed.model.training


def test_every_report_of_a_training_with_diagnostics_has_all_measures() -> None:
    config = tiny_config(model={"hidden": [6, 5], "activation": "tanh"}, diagnostics=True)
    report = next(iter(Training(config, tiny_data(), CPU)))
    layers = ("01 linear 16-6 tanh", "02 linear 6-5 tanh", "03 linear 5-3")
    expected = {f"{name}/{layer}" for name in MEASURES for layer in layers}
    expected.remove("saturated/03 linear 5-3")
    assert expected <= report.metrics.keys()


def test_a_regression_and_a_convnet_are_measured() -> None:
    regression = Training(tiny_config(regression=True), tiny_data(regression=True), CPU)
    assert len(regression.signals()) == 2
    convnet = Training(tiny_config(model=MODELS["convnet"]), tiny_data(), CPU)
    assert [one.layer for one in convnet.signals()] == [
        "01 conv 1-3 relu",
        "02 linear 12-5 relu",
        "03 linear 5-3",
    ]


def test_signals_are_repeatable_and_differ_with_the_seed() -> None:
    first, again, other = (
        Training(tiny_config(seed=seed), tiny_data(), CPU).signals() for seed in (3, 3, 4)
    )
    assert first == again != other


def test_dropped_values_do_not_pass_as_signal() -> None:
    whole, dropped = (
        Training(
            tiny_config(model={"hidden": [6], "dropout": rate, "dropconnect": rate}),
            tiny_data(),
            CPU,
        )
        for rate in (0.0, 0.6)
    )
    assert [asdict(one) for one in whole.signals()] == [asdict(one) for one in dropped.signals()]


def test_what_is_not_finite_is_neither_dead_nor_alive() -> None:
    first, _ = signals(math.nan, activation=nn.Tanh())
    assert math.isnan(first.dead)
    assert first.saturated is not None
    assert math.isnan(first.saturated)


def test_no_measure_that_is_none_becomes_a_metric() -> None:
    assert all(math.isfinite(v) for v in as_metrics(signals(activation=nn.ReLU())).values())
