"""The model of a training: its family, and the fields of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, SerializeAsAny, model_validator

from spaces.problems import shown, unknown_name
from spaces.sections import Rate, Section, Size, named

MOST_LAYERS = 100
MOST_PADDING = 10**9

Activation: TypeAlias = Literal[
    "none", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"
]
Norm: TypeAlias = Literal["none", "batch", "layer", "group"]


class Init(Section):
    """How weights start; biases start at 0, except with ``default`` (PyTorch's own).

    ``std`` is for ``normal``; ``distribution`` for ``xavier`` and ``he``; ``mode`` for ``he``.
    """

    name: Literal["default", "normal", "xavier", "he", "orthogonal"] = "default"
    std: Annotated[float, Field(gt=0)] = 0.01
    distribution: Literal["uniform", "normal"] = "normal"
    mode: Literal["fan_in", "fan_out"] = "fan_in"


class Mlp(Section):
    """Linear layers of the sizes ``hidden``, then one to the outputs.

    After each hidden layer: norm, activation, dropout. ``norm_groups`` is for ``norm: group``
    (the largest divisor of the layer's size that is not above it is taken). ``dropconnect``: the
    share of the weights of each linear layer that is dropped at each training step.
    """

    family: Literal["mlp"] = "mlp"
    hidden: list[Size] = Field(default=[512], max_length=MOST_LAYERS)
    activation: Activation = "relu"
    init: Annotated[Init, BeforeValidator(named)] = Init()
    norm: Norm = "none"
    norm_groups: Size = 8
    dropout: Rate = 0.0
    dropconnect: Rate = 0.0


def _parse_padding(value: Any) -> int | Literal["same"]:
    if value == "same":
        return "same"
    if type(value) is int and 0 <= value <= MOST_PADDING:
        return value
    raise ValueError(f"must be same or a whole number from 0 to {MOST_PADDING}, got {shown(value)}")


class Block(Section):
    """A convolution, then norm, activation, max-pooling (``pool`` 1: none) and dropout.

    ``padding: same`` keeps the image's size, whatever the kernel, which must be odd then. An image
    that the blocks before have made smaller than ``pool`` is not pooled any more.

    ``norm``, ``activation`` and ``dropout`` are the model's ``block_norm``, ``activation`` and
    ``block_dropout`` where they are left out.
    """

    channels: Size
    kernel: Size = 3
    padding: Annotated[int | Literal["same"], PlainValidator(_parse_padding)] = 1
    bias: bool = True
    pool: Size = 1
    norm: Norm | None = None
    activation: Activation | None = None
    dropout: Rate | None = None

    @model_validator(mode="after")
    def _check_rules(self) -> Block:
        if self.padding == "same" and self.kernel % 2 == 0:
            raise ValueError(f"padding: same needs an odd kernel, got {self.kernel}")
        return self

    @property
    def margin(self) -> int:
        """How many pixels are added at each edge."""
        return self.kernel // 2 if self.padding == "same" else self.padding


class Convnet(Mlp):
    """Conv ``blocks``, then a head: an MLP, which is what ``hidden``, ``norm``, ``dropout`` mean.

    ``block_norm`` and ``block_dropout`` are the blocks' own; block dropout drops whole channels.
    """

    family: Literal["convnet"] = "convnet"  # type: ignore[assignment]
    blocks: list[Block] = Field(
        default=[Block(channels=32, pool=2)], min_length=1, max_length=MOST_LAYERS
    )
    hidden: list[Size] = Field(default=[128], max_length=MOST_LAYERS)
    block_norm: Norm = "none"
    block_dropout: Rate = 0.0


def _parse_model(value: Any) -> Mlp | Convnet:
    if isinstance(value, Mlp):
        return value
    family = value.get("family", "mlp") if isinstance(value, Mapping) else "mlp"
    if not isinstance(family, str) or family not in MODELS:
        raise ValueError(unknown_name("family", family, MODELS))
    return MODELS[family].model_validate(value)


MODELS: dict[str, type[Mlp]] = {"mlp": Mlp, "convnet": Convnet}
Model: TypeAlias = Annotated[SerializeAsAny[Mlp], PlainValidator(_parse_model)]
