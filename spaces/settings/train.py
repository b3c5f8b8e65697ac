"""``Train``: how a model is optimised."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from spaces.problems import shown
from spaces.sections import Rate, Section, Size, named

_MOST_PIXELS = 10_000


class Schedule(Section):
    """How the learning rate falls, after a linear rise over ``warmup_epochs``.

    constant; exponential: times ``gamma`` after each epoch; inverse_time:
    ``lr0 / (1 + decay * optimizer_step)``; cosine: half a cosine from lr0 to 0 over max_epochs.
    """

    name: Literal["constant", "exponential", "inverse_time", "cosine"] = "constant"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.9
    decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0


def _parse_class_weights(value: Any) -> Any:
    if value in ("none", "balanced"):
        return value
    if not isinstance(value, list) or not value or not all(map(_is_weight, value)):
        rule = "must be none, balanced, or a list of one positive number per class"
        raise ValueError(f"{rule}, got {shown(value)}")
    return [float(weight) for weight in value]


def _is_weight(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= _MOST_WEIGHT and math.isfinite(value)


_MOST_WEIGHT = 1e6


FOR_CLASSES = {"label_smoothing", "class_weights"}
FOR_IMAGES = {"crop", "flip", "cutout"}


class Train(Section):
    """Optimisation. ``momentum`` and ``nesterov`` are for sgd (momentum for rmsprop, too).

    ``norm_penalty``: so many times the sum of the 2-norms of all parameter tensors is added to
    what is minimised (not to the loss that is reported). ``accumulate``: that many batches make
    one optimizer step. ``patience``: the training ends after that many epochs without a better
    value of the search's metric.

    For a classification: ``label_smoothing`` (Szegedy et al., 2016); ``class_weights``, balanced:
    by inverse frequency in the training split. For images: ``crop``, the padding in pixels from
    which a crop of the original size is cut; ``flip``, left to right, every other time;
    ``cutout``, the side in pixels of a square that is set to 0 (DeVries & Taylor, 2017).
    ``mixup``: alpha of the Beta distribution (Zhang et al., 2018). 0 is none of it.

    ``precision``: bfloat16 computes the model's training steps in it, and keeps weights in
    float32. ``compile``: by torch.compile.
    """

    lr: Annotated[float, Field(gt=0)] = 1e-3
    batch_size: Size = 64
    accumulate: Size = 1
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"
    momentum: Rate = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    norm_penalty: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    schedule: Annotated[Schedule, BeforeValidator(named)] = Schedule()
    label_smoothing: Rate = 0.0
    class_weights: Annotated[
        Literal["none", "balanced"] | list[float], BeforeValidator(_parse_class_weights)
    ] = "none"
    crop: Annotated[int, Field(ge=0, le=_MOST_PIXELS)] = 0
    flip: bool = False
    cutout: Annotated[int, Field(ge=0, le=_MOST_PIXELS)] = 0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    patience: Size | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    @model_validator(mode="after")
    def _check_rules(self) -> Train:
        if self.nesterov and self.optimizer != "sgd":
            raise ValueError(f"nesterov needs optimizer sgd, got {self.optimizer}")
        return self

    @property
    def changed(self) -> set[str]:
        """The fields that have another value than their default."""
        return set(self.model_dump(exclude_defaults=True))
