"""The contract that every built-in model keeps, and the sizes of known networks."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
import torch

from spaces.settings.model import MODELS, Activation, Convnet, Mlp, Norm
from trainables.models.families import build_model, count_parameters

INPUT_SHAPE = (1, 8, 8)
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [12, 6], "dropout": 0.2},
    "convnet": {
        "blocks": [{"channels": 4, "pool": 2}, {"channels": 6}],
        "hidden": [12],
        "dropout": 0.2,
        "block_dropout": 0.1,
    },
}
INITS = ["default", "normal", "xavier", "he", "orthogonal"]


def settings(family: str, **fields: Any) -> Mlp:
    return MODELS[family].model_validate({**SMALL[family], "family": family, **fields})


def images() -> torch.Tensor:
    return torch.rand(5, *INPUT_SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("family", "activation", "norm", "init"),
    list(itertools.product(SMALL, get_args(Activation), get_args(Norm), INITS)),
)
def test_every_model_gives_finite_outputs_and_gradients_from_its_seed_alone(
    family: str, activation: str, norm: str, init: str
) -> None:
    before = torch.get_rng_state()
    fields = {"block_norm": norm} if family == "convnet" else {}
    made = settings(family, activation=activation, norm=norm, init=init, **fields)
    outputs = []
    for _ in range(2):
        model, _ = build_model(made, INPUT_SHAPE, 3, seed=7)
        outputs.append(model(images()))
    assert outputs[0].shape == (5, 3)
    assert torch.equal(outputs[0], outputs[1])
    outputs[1].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("family", SMALL)
def test_another_seed_gives_other_weights(family: str, init: str) -> None:
    first, second = (
        build_model(settings(family, init=init), INPUT_SHAPE, 3, seed)[0].eval()(images())
        for seed in (1, 2)
    )
    assert not torch.equal(first, second)


CONV_28 = {"kernel": 3, "padding": 0, "bias": False}


@pytest.mark.parametrize(
    ("model", "input_shape", "parameters"),
    [
        (Mlp(hidden=[512]), (1, 28, 28), 407_050),
        (Mlp(hidden=[128, 64]), (1, 28, 28), 109_386),
        (Mlp(hidden=[]), (10,), 110),
        (
            Convnet.model_validate(
                {
                    "blocks": [{"channels": 32, **CONV_28}, {"channels": 64, "pool": 2, **CONV_28}],
                    "hidden": [512],
                }
            ),
            (1, 28, 28),
            4_742_954,
        ),
        (
            Convnet.model_validate(
                {"blocks": [{"channels": 32}, {"channels": 32, "pool": 2}], "hidden": [128]}
            ),
            (1, 28, 28),
            813_802,
        ),
    ],
)
def test_known_networks_have_their_known_sizes(
    model: Mlp, input_shape: tuple[int, ...], parameters: int
) -> None:
    assert count_parameters(build_model(model, input_shape, 10, seed=0)[0]) == parameters


def test_batch_norm_adds_two_parameters_per_unit() -> None:
    plain, normed = (
        count_parameters(build_model(Mlp(hidden=[20], norm=norm), (10,), 2, seed=0)[0])
        for norm in ("none", "batch")
    )
    assert normed == plain + 2 * 20


def test_layers_stand_in_the_order_norm_activation_pooling_dropout() -> None:
    made = settings("convnet", norm="layer", block_norm="batch", activation="tanh")
    model, _ = build_model(made, INPUT_SHAPE, 3, seed=0)
    first = "Conv2d BatchNorm2d Tanh MaxPool2d Dropout"
    second = "Conv2d BatchNorm2d Tanh Dropout Flatten"
    head = "Linear LayerNorm Tanh Dropout Linear"
    assert [type(layer).__name__ for layer in model] == f"{first} {second} {head}".split()


def test_a_block_may_have_its_own_norm_activation_and_dropout() -> None:
    blocks = [{"channels": 4, "norm": "none", "activation": "elu", "dropout": 0.0}]
    made = settings("convnet", block_norm="batch", block_dropout=0.5, hidden=[], blocks=blocks)
    model, _ = build_model(made, INPUT_SHAPE, 3, seed=0)
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "ELU", "Flatten", "Linear"]


def test_a_convnet_refuses_inputs_that_are_no_images() -> None:
    with pytest.raises(ValueError, match=r"a convnet needs images, got inputs of shape \(10,\)"):
        build_model(Convnet(), (10,), 2, seed=0)


def test_blocks_that_leave_nothing_of_the_image_are_told() -> None:
    made = Convnet.model_validate({"blocks": [{"channels": 4, "kernel": 11}]})
    with pytest.raises(ValueError, match=r"blocks\.0: kernel 11 leaves nothing of the image"):
        build_model(made, INPUT_SHAPE, 2, seed=0)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_padding_same_keeps_the_size_of_the_image_whatever_the_kernel(kernel: int) -> None:
    blocks = [{"channels": 4, "kernel": kernel, "padding": "same"}] * 3
    model, _ = build_model(settings("convnet", blocks=blocks), INPUT_SHAPE, 3, seed=0)
    flat = list(model).index(next(layer for layer in model if isinstance(layer, torch.nn.Flatten)))
    assert model[:flat](images()).shape[2:] == (8, 8)


def test_padding_same_is_padding_1_for_a_kernel_of_3() -> None:
    first, second = (
        build_model(
            Convnet.model_validate({"blocks": [{"channels": 4, "padding": padding}]}),
            INPUT_SHAPE,
            3,
            seed=0,
        )[0](images())
        for padding in ("same", 1)
    )
    assert torch.equal(first, second)


def test_an_image_that_became_smaller_than_the_pool_is_not_pooled_any_more() -> None:
    made = Convnet.model_validate({"blocks": [{"channels": 4, "pool": 2}] * 6, "hidden": []})
    model, _ = build_model(made, INPUT_SHAPE, 3, seed=0)
    names = [type(layer).__name__ for layer in model]
    assert (names.count("Conv2d"), names.count("MaxPool2d")) == (6, 3)  # 8, 4, 2, 1
    assert model(images()).shape == (5, 3)


def test_a_pool_that_is_larger_than_the_whole_image_is_told() -> None:
    made = Convnet.model_validate({"blocks": [{"channels": 4, "pool": 9}]})
    with pytest.raises(ValueError, match=r"blocks\.0: pool 9 is larger than the image"):
        build_model(made, INPUT_SHAPE, 3, seed=0)
