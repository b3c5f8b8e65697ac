"""A bundle's model, ready to use: loaded, and asked about pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from analysis.bundle.bundle import bundle_file, read_bundle, read_inputs
from spaces.problems import InputError, Problem, shown
from spaces.sections import parse_section
from spaces.training_config import TrainConfig, parse_config
from trainables.data.images import read_picture
from trainables.data.input_spec import InputSpec
from trainables.data.sources import Array
from trainables.data.splits import input_spec
from trainables.models.families import empty_model

INPUTS = "inputs.json"


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    ``image``: the file. ``label``: the likeliest class. ``probabilities``: of each class, in the
    model's order. ``note``: how the picture was changed to fit. ``pixels``: what the model was
    shown, (channels, height, width) uint8.
    """

    image: str
    label: str
    probabilities: dict[str, float]
    note: str | None
    pixels: Array


def load_model(folder: str | Path) -> tuple[nn.Module, TrainConfig]:
    """The trained model of a bundle, in evaluation mode on the CPU, and its configuration.

    Its inputs are values in [0, 1], normalised as the bundle's ``inputs.json`` says;
    ``search.export.predictor`` does that, and prepares tables.

    Raises:
        InputError: when the bundle is damaged, or holds the result of a user's own code.
    """
    model, config, _ = load_whole(Path(folder))
    return model, config


def load_whole(folder: Path) -> tuple[nn.Module, TrainConfig, InputSpec]:
    """The trained model of a bundle, its configuration, and what it takes and gives.

    Raises:
        InputError: when the bundle is damaged, or holds the result of a user's own code.
    """
    config = parse_config(read_bundle(folder)[0])
    if not isinstance(config, TrainConfig):
        raise InputError(f"{folder} holds the result of your own code, which has no built-in model")
    inputs = load_inputs(folder, config)
    shape = tuple(inputs.shape)
    try:
        model = empty_model(config.model, shape, inputs.outputs, config.seed)
    except ValueError as error:
        raise InputError([Problem("model", str(error))], str(folder)) from None
    file = bundle_file(folder, "model.safetensors")
    try:
        _check_shapes(file, model.state_dict())
        weights = safetensors.torch.load_file(file)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"does not hold this model's weights: {error}", str(file)) from None
    model.load_state_dict(weights, assign=True)
    return model.eval(), config, inputs


def load_inputs(folder: Path, config: TrainConfig) -> InputSpec:
    """What the model of a bundle takes and gives; a bundle of an earlier version asks the data.

    Raises:
        InputError: when the bundle is damaged, or the data that it needs is not there.
    """
    file = folder / INPUTS
    if not file.exists():
        return input_spec(config.dataset, config.split_seed)
    try:
        return parse_section(InputSpec, read_inputs(folder))
    except InputError as error:
        raise InputError(error.problems, error.source or str(file)) from None


def _check_shapes(file: Path, expected: Mapping[str, torch.Tensor]) -> None:
    """See, before any memory is taken, that a file holds the tensors of a model.

    Raises:
        ValueError: naming the first that it holds otherwise.
    """
    with safetensors.safe_open(file, framework="pt") as held:
        names = set(held.keys())
        if names != expected.keys():
            name = min(names ^ expected.keys())
            fault = "not in the model" if name in names else "missing"
            raise ValueError(f"{shown(name)} is {fault}")
        for name, tensor in expected.items():
            found = held.get_slice(name)
            shape, kind = found.get_shape(), found.get_dtype()
            if shape != list(tensor.shape) or kind != _DTYPES[tensor.dtype]:
                wanted = f"{_DTYPES[tensor.dtype]} {list(tensor.shape)}"
                raise ValueError(f"{name} must be {wanted}, got {kind} {shown(shape)}")


_DTYPES = {torch.float32: "F32", torch.int64: "I64"}


def predict(folder: Path, images: Sequence[Path]) -> list[Prediction]:
    """Ask the model of a bundle about pictures.

    Args:
        folder: the bundle.
        images: files of pictures; grey and colour are converted, another size is resized.

    Raises:
        InputError: when the bundle is damaged or no classifier of images, or a file no picture.
    """
    model, _, inputs = load_whole(folder)
    if inputs.table is not None:
        raise InputError("was trained on a table, and takes a CSV or Parquet file", str(folder))
    if len(inputs.shape) != 3 or inputs.shape[0] not in (1, 3) or not inputs.class_names:
        raise InputError("is no classifier of pictures", source=str(folder))
    channels, height, width = inputs.shape
    pictures = [read_picture(image, channels, (height, width)) for image in images]
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (inputs.mean, inputs.std))
    pixels = np.stack([picture.pixels for picture in pictures])
    with np.errstate(all="ignore"), torch.inference_mode():
        batch = (pixels.astype(np.float32) / 255.0 - mean) / std
        answers = model(torch.from_numpy(batch)).softmax(dim=1)
    if not answers.isfinite().all():
        raise InputError("its weights or inputs.json give no finite answer", source=str(folder))
    return [
        Prediction(
            image=str(image),
            label=inputs.class_names[int(answer.argmax())],
            probabilities=dict(zip(inputs.class_names, answer.tolist(), strict=True)),
            note=picture.note,
            pixels=picture.pixels,
        )
        for image, picture, answer in zip(images, pictures, answers, strict=True)
    ]
