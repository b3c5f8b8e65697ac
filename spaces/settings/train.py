"""``Train``: how a model is optimised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from spaces.sections import Rate, Section, Size, named


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
