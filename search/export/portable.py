"""A trained model as programs of its own, which run without this package.

``model.pt2`` needs PyTorch, ``model.onnx`` an ONNX runtime; both are made of one ``torch.export``.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
import torch
from packaging.version import Version
from torch import nn

from analysis.display.numbers import number
from spaces.problems import InputError, RunError
from spaces.training_config import TrainConfig
from trainables.data.input_spec import InputSpec
from trainables.data.splits import load_data
from trainables.models.families import empty_model

CHECKED = 64  # samples on which a program must answer as its model does
CLOSE = 1e-5
CLOSE_ONNX = 1e-4  # another runtime adds up in another order
MOST_ONNX_BYTES = 2 * 10**9  # a protobuf message ends at 2 GiB
OLDEST_ONNXSCRIPT = Version("0.6")  # torch's exporter fails with the ones before


class WholeModel(nn.Module):
    """From inputs as they are, before any normalisation, to probabilities or values.

    Inputs are those in [0, 1] of a picture, float32; of a table the features as its bundle's
    README.md lists them, float64. A regression gives values in the target's own units.

    Args:
        model: takes normalised inputs.
        inputs: says how they are normalised.
    """

    mean: torch.Tensor
    std: torch.Tensor
    target_mean: torch.Tensor
    target_std: torch.Tensor

    def __init__(self, model: nn.Module, inputs: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.is_classifier = bool(inputs.class_names)
        shape = (-1, *(1 for _ in inputs.shape[1:]))
        mean, std = torch.tensor(inputs.mean), torch.tensor(inputs.std)
        if inputs.table is not None:
            mean, std = (torch.from_numpy(part.copy()) for part in inputs.table.scale.T)
        self.register_buffer("mean", mean.reshape(shape))
        self.register_buffer("std", std.reshape(shape))
        self.has_units = inputs.target_scale is not None
        if inputs.target_scale is not None:
            scale = inputs.target_scale
            self.register_buffer("target_mean", torch.tensor(scale.mean, dtype=torch.float64))
            self.register_buffer("target_std", torch.tensor(scale.std, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        normalised = ((inputs - self.mean) / self.std).to(torch.float32)
        outputs: torch.Tensor = self.model(normalised)
        if self.is_classifier:
            return outputs.softmax(dim=1)
        return outputs * self.target_std + self.target_mean if self.has_units else outputs


def make_programs(
    config: TrainConfig, inputs: InputSpec, weights: Mapping[str, torch.Tensor]
) -> dict[str, bytes]:
    """Export a trained model, for batches of any size, and check what the programs answer.

    ``model.onnx`` is among them where ``can_make_onnx``. A model that no other runtime can follow
    (too large, or so steep that rounding decides its answers) goes without, with a warning.

    Args:
        config: how the model was trained.
        inputs: what it takes.
        weights: by name.

    Returns:
        By file name, what ``torch.export.load`` and ``onnxruntime.InferenceSession`` read.

    Raises:
        InputError: when the weights are not those of this model.
        RunError: when ``model.pt2`` answers otherwise than the model.
    """
    try:
        model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
        model.load_state_dict(dict(weights), assign=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"these are not the model's weights: {error}") from None
    whole = WholeModel(model, inputs).eval().requires_grad_(requires_grad=False)
    samples = _samples(config, inputs)
    expected = whole(samples)
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(whole, (samples[:2],), dynamic_shapes=(batch,))
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    difference = _difference(exported.module()(samples), expected)
    if not difference <= CLOSE:
        raise RunError(f"model.pt2 answers otherwise than the model, by up to {number(difference)}")
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    programs = {"model.pt2": buffer.getvalue()}
    if can_make_onnx():
        try:
            programs["model.onnx"] = _onnx_program(whole, exported, samples, expected)
        except RunError as error:
            warnings.warn(f"model.onnx is left out: {error}", stacklevel=2)
    return programs


def can_make_onnx() -> bool:
    """Whether the packages of the extra ``shoal[onnx]`` are installed."""
    if not all(find_spec(package) for package in ("onnx", "onnxruntime", "onnxscript")):
        return False
    return Version(importlib.metadata.version("onnxscript")) >= OLDEST_ONNXSCRIPT


def _onnx_program(
    whole: WholeModel,
    exported: torch.export.ExportedProgram,
    samples: torch.Tensor,
    expected: torch.Tensor,
) -> bytes:
    """``model.onnx``, one file with the weights in it.

    Raises:
        RunError: when it would be too large, or answers otherwise than the model.
    """
    weights = sum(tensor.nbytes for tensor in whole.state_dict().values())
    if weights > MOST_ONNX_BYTES:
        most = f"{MOST_ONNX_BYTES:,}"
        raise RunError(f"its weights take {weights:,} bytes, and the format holds {most}")
    with contextlib.redirect_stdout(io.StringIO()):  # some versions of onnxscript print
        converted = torch.onnx.export(
            exported,
            input_names=["inputs"],
            output_names=["probabilities" if whole.is_classifier else "values"],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
    assert converted is not None
    program: bytes = converted.model_proto.SerializeToString()
    difference = _difference(_onnx_answers(program, samples), expected)
    if not difference <= CLOSE_ONNX:
        raise RunError(
            f"ONNX Runtime answers otherwise than the model, by up to {number(difference)}"
        )
    return program


def _onnx_answers(program: bytes, samples: torch.Tensor) -> torch.Tensor:
    """What ONNX Runtime answers, on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only: it writes to the terminal by itself
    session = onnxruntime.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"inputs": samples.numpy()})
    return torch.from_numpy(answers)


def _difference(answers: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference; where answers are above 1 (a regression's), as a share of them."""
    return ((answers - expected).abs().max() / expected.abs().max().clamp(min=1.0)).item()


def _samples(config: TrainConfig, inputs: InputSpec) -> torch.Tensor:
    """Real validation samples where the data is there, made-up ones where it is not."""
    try:
        held = load_data(config.dataset, config.split_seed).validation.inputs[:CHECKED]
    except InputError:
        warnings.warn("the data is not here: the programs are checked on noise", stacklevel=2)
        noise = torch.rand(CHECKED, *inputs.shape, generator=torch.Generator().manual_seed(0))
        held = noise.numpy()
    unit = 255.0 if held.dtype == np.uint8 else 1.0
    samples = torch.from_numpy(held.astype(np.float32) / np.float32(unit))
    if inputs.table is not None:
        mean, std = (torch.from_numpy(part.copy()) for part in inputs.table.scale.T)
        samples = samples * std + mean
    return samples.repeat(2, *(1 for _ in inputs.shape)) if len(samples) == 1 else samples
