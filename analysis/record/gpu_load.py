"""What a GPU bears: trainings side by side, and whether its memory was too small for one."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_WANT_OF_MEMORY = ("CUDA out of memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


class Load(BaseModel):
    """So many trainings of one configuration, side by side on one GPU.

    ``rate``: what all of them together train in a second: steps of a built-in model, reports of own
    code. ``used_bytes`` of the GPU's ``total_bytes`` of memory were taken, those that others take
    included; None where the GPU does not tell.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    trials: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(ge=0)]
    used_bytes: Annotated[int, Field(ge=0)] | None = None
    total_bytes: Annotated[int, Field(gt=0)] | None = None


def wants_gpu_memory(reason: str) -> bool:
    """Whether a process ended because its GPU had no memory left, by what PyTorch says then."""
    return any(words in reason for words in _WANT_OF_MEMORY)
