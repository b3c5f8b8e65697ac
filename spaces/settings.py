"""The fixed settings of a training: dataset, model and optimisation, as a file may state them.

Every field of ``Train`` and of a model may also stand in ``space`` and be searched; ``set_fields``
says how a name there finds its field.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, PlainValidator, SerializeAsAny, model_validator

from spaces.problems import shown, unknown_name
from spaces.sections import Section

MOST_LAYERS = 100

Activation: TypeAlias = Literal[
    "none", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"
]
Norm: TypeAlias = Literal["none", "batch", "layer", "group"]
Rate: TypeAlias = Annotated[float, Field(ge=0.0, lt=1.0)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Location: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$")]  # a folder or a URI


NAMED = {"dataset", "metric", "sampler", "scheduler", "init", "schedule"}


def named(value: Any) -> Any:
    """``he`` is short for ``{name: he}``."""
    return {"name": value} if isinstance(value, str) else value


def _per_channel(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class PixelScale(Section):
    """Inputs become ``(x - mean) / std``; one number for all channels or one per channel."""

    mean: Annotated[list[float], BeforeValidator(_per_channel)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], BeforeValidator(_per_channel)]


def _texts(value: Any) -> Any:
    """Class names that YAML reads as numbers (``[3, 5]``) are names all the same."""
    return (
        [str(v) if isinstance(v, int) else v for v in value] if isinstance(value, list) else value
    )


def _parse_normalize(value: Any) -> Any:
    if isinstance(value, dict | PixelScale):
        return PixelScale.model_validate(value)
    if value not in ("none", "signed", "standard"):
        rule = "must be none, signed, standard or {mean: …, std: …}"
        raise ValueError(f"{rule}, got {shown(value)}")
    return value


class Dataset(Section):
    """The data of a training.

    ``validation`` is the share cut from the training split by a seeded, stratified split;
    ``subset`` keeps that many images of the training split (before the cut) for quick looks;
    ``normalize`` maps inputs in [0, 1] to [-1, 1] (``signed``), to mean 0 and deviation 1 over
    the training split (``standard``), or by given constants.
    """

    name: Literal[
        "digits",
        "mnist",
        "fashion_mnist",
        "kmnist",
        "cifar10",
        "cifar100",
        "image_folder",
        "linear",
        "diabetes",
    ]
    root: Location | None = None
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    subset: Size | None = None
    classes: Annotated[list[str], BeforeValidator(_texts), Field(min_length=2)] | None = None
    image_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    normalize: Annotated[
        Literal["none", "signed", "standard"] | PixelScale, BeforeValidator(_parse_normalize)
    ] = "none"

    @model_validator(mode="after")
    def _check_rules(self) -> Dataset:
        if self.name == "image_folder" and self.root is None:
            raise ValueError("image_folder needs root, the folder that holds train/")
        if self.image_size is not None and self.name != "image_folder":
            raise ValueError("image_size is for image_folder only")
        if self.is_regression and self.classes is not None:
            raise ValueError(f"classes are for classification; {self.name} is a regression")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must differ from each other, got {shown(self.classes)}")
        return self

    @property
    def is_regression(self) -> bool:
        return self.name in ("linear", "diabetes")


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


class Block(Section):
    """A convolution, then norm, activation, max-pooling (``pool`` 1: none) and dropout.

    ``norm``, ``activation`` and ``dropout`` are the model's ``block_norm``, ``activation`` and
    ``block_dropout`` where they are left out.
    """

    channels: Size
    kernel: Size = 3
    padding: Annotated[int, Field(ge=0, le=10**9)] = 1
    bias: bool = True
    pool: Size = 1
    norm: Norm | None = None
    activation: Activation | None = None
    dropout: Rate | None = None


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


class Schedule(Section):
    """How the learning rate falls, after a linear rise over ``warmup_epochs``.

    constant; exponential: times ``gamma`` after each epoch; inverse_time:
    ``lr0 / (1 + decay * optimizer_step)``; cosine: half a cosine from lr0 to 0 over max_epochs.
    """

    name: Literal["constant", "exponential", "inverse_time", "cosine"] = "constant"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.9
    decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0


class Train(Section):
    """Optimisation. ``momentum`` and ``nesterov`` are for sgd (momentum for rmsprop, too).

    ``norm_penalty``: so many times the sum of the 2-norms of all parameter tensors is added to
    what is minimised (not to the loss that is reported).
    """

    lr: Annotated[float, Field(gt=0)] = 1e-3
    batch_size: Size = 64
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"
    momentum: Rate = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    norm_penalty: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    schedule: Annotated[Schedule, BeforeValidator(named)] = Schedule()

    @model_validator(mode="after")
    def _check_rules(self) -> Train:
        if self.nesterov and self.optimizer != "sgd":
            raise ValueError(f"nesterov needs optimizer sgd, got {self.optimizer}")
        return self


_FIELDS = {
    **dict.fromkeys(Train.model_fields, "train"),
    **dict.fromkeys((*Mlp.model_fields, *Convnet.model_fields), "model"),
}


def field_path(name: str) -> tuple[str, ...]:
    """The place of a searched field: ``lr`` → (train, lr), ``blocks.0.kernel`` → (model, …).

    Raises:
        ValueError: when the name is no field of ``train`` or of a model.
    """
    first, *rest = name.split(".")
    if first in ("train", "model") and rest:
        first, *rest = rest
    if first not in _FIELDS:
        raise ValueError(unknown_name("field", first, _FIELDS))
    return (_FIELDS[first], first, *rest)


def is_float_field(name: str) -> bool:
    """Whether a searched field holds real numbers, so that ``{low: 0, high: 1}`` means floats."""
    try:
        section, *rest = field_path(name)
    except ValueError:
        return False
    last = rest[-1]
    kinds = (Train, Schedule) if section == "train" else (Convnet, Block, Init)
    annotations = [
        kind.model_fields[last].annotation for kind in kinds if last in kind.model_fields
    ]
    return any(map(_holds_float, annotations))


def _holds_float(annotation: Any) -> bool:
    return annotation is float or any(map(_holds_float, get_args(annotation)))


def set_fields(settings: dict[str, Any], fields: Iterable[tuple[str, Any]]) -> None:
    """Set fields, each a name and its value, in the plain data ``{train: …, model: …}``.

    A part of a name that is a number picks an entry of a list; any other part, where a list
    stands, goes to every entry (``blocks.kernel``). Whole fields are set before parts of them,
    so that the order of the fields does not matter.
    """
    for path, value in sorted(
        ((field_path(name), value) for name, value in fields), key=lambda field: len(field[0])
    ):
        _descend(settings, path, copy.deepcopy(value))


def _descend(place: Any, path: tuple[str, ...], value: Any) -> None:
    key, rest = path[0], path[1:]
    if isinstance(place, list):
        if not key.isdecimal():
            for entry in place:
                _descend(entry, path, value)
            return
        index = int(key)
        if index >= len(place):
            raise ValueError(f"there is no entry {index} in a list of {len(place)}")
        if rest:
            _descend(place[index], rest, value)
        else:
            place[index] = value
    elif not isinstance(place, dict):
        raise ValueError(f"{shown(place)} has no field {shown(key)}")
    elif not rest:
        place[key] = value
    else:
        if not isinstance(place.get(key), dict | list):
            place[key] = named(place.get(key)) or {}
        _descend(place[key], rest, value)
