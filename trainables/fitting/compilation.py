"""Models compiled by ``torch.compile``, each once for all trainings of this process."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import nn

from spaces.problems import InputError

BACKEND: Any = "inductor"
_MOST_KEPT = 64


class CompiledModel:
    """A model whose full batches are computed by compiled code; others by the model itself.

    The code takes weights, dropout noise and dropout rates as inputs. So one piece of code serves
    all models with the same layers, for batches of the same shape.

    Args:
        model: in training mode when it is called; it stays as it is, and holds the weights.
        shape: of the inputs of a full batch.
        precision: in which they are computed.
    """

    def __init__(self, model: nn.Sequential, shape: tuple[int, ...], precision: str) -> None:
        self._model = model
        self._shape = shape
        self._precision = precision

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The model's outputs: (samples, outputs).

        Raises:
            InputError: when there is no compiler.
        """
        if inputs.shape != self._shape:
            return _call(self._model, inputs)
        return self._compiled_call(self._model, inputs)

    @functools.cached_property
    def _compiled_call(self) -> Callable[[nn.Sequential, torch.Tensor], torch.Tensor]:
        device = next(self._model.parameters()).device
        if lack := _lack(device):
            raise InputError(f"train.compile: needs {lack}; set it to false to train without")
        # what the layers say of themselves tells them apart, but rates are read as the code runs
        layers = re.sub(r"rate=[^,)]+", "rate", repr(self._model))
        return _compiled((layers, self._shape, device, self._precision), BACKEND)


def _call(model: nn.Sequential, inputs: torch.Tensor) -> torch.Tensor:
    outputs: torch.Tensor = model(inputs)
    return outputs


@functools.lru_cache(maxsize=_MOST_KEPT)
def _compiled(
    key: tuple[object, ...], backend: Any
) -> Callable[[nn.Sequential, torch.Tensor], torch.Tensor]:
    """The compiled ``_call`` for one kind of model and batch.

    Each is a function of its own: torch.compile counts what it has compiled by code object, and
    after eight it would run the rest uncompiled.
    """
    function = FunctionType(_call.__code__.replace(), globals())
    compiled: Callable[[nn.Sequential, torch.Tensor], torch.Tensor]
    compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=backend)
    return compiled


def _lack(device: torch.device) -> str | None:
    """What torch.compile needs and this machine does not have; None when it has all."""
    if BACKEND != "inductor":
        return None
    if device.type != "cpu":
        return None if importlib.util.find_spec("triton") else "the package triton"
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        return f"a C++ compiler, and there is no {compiler} (CXX names another one)"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return None if header.exists() else f"Python's headers, and there is no {header}"
