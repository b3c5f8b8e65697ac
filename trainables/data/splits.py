"""Data ready for training: splits cut by seed, normalisation, and splits held on the device."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, model_validator

from spaces.problems import InputError
from spaces.sections import Section, Size
from spaces.settings.dataset import Dataset, PixelScale
from trainables.data.datasets import read
from trainables.data.image_folder import validation_folder
from trainables.data.sources import Array, Split, data_root, known_classes, known_shape


class InputSpec(Section):
    """What a trained model takes and gives; its bundle keeps it.

    ``shape`` is that of one sample; inputs in [0, 1] become ``(x - mean) / std``, by channel;
    ``class_names`` is empty for a regression.
    """

    shape: Annotated[list[Size], Field(min_length=1, max_length=3)]
    outputs: Size
    class_names: list[str]
    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_lengths(self) -> InputSpec:
        if self.class_names and len(set(self.class_names)) != self.outputs:
            raise ValueError(
                f"{self.outputs} outputs, but {len(set(self.class_names))} different class_names"
            )
        if not {len(self.mean), len(self.std)} <= {1, self.shape[0]}:
            raise ValueError(f"mean and std need 1 or {self.shape[0]} numbers each")
        return self


@dataclass(frozen=True)
class Data:
    """A dataset ready for training: two splits, class names and the normalisation of inputs.

    ``class_names`` is empty for a regression. Inputs in [0, 1] become ``(x - mean) / std``, with
    ``mean`` and ``std`` of shape (channels,) or (1,), taken from the training split only.
    """

    train: Split
    validation: Split
    class_names: tuple[str, ...]
    mean: Array
    std: Array

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.train.inputs.shape[1:])

    @property
    def outputs(self) -> int:
        return len(self.class_names) or int(self.train.targets.shape[1])

    @property
    def spec(self) -> InputSpec:
        """What a model of this data takes and gives."""
        return _spec(self.input_shape, self.class_names, self.mean, self.std, self.outputs)

    @property
    def fingerprint(self) -> dict[str, dict[str, int | str]]:
        """Of each split how many samples it has, and the SHA-256 of its inputs and targets."""
        splits = {"training": self.train, "validation": self.validation}
        return {
            name: {"samples": len(s), "sha256": _digest(s)} for name, s in splits.items() if len(s)
        }


def _digest(split: Split) -> str:
    """The same on every machine: little-endian, in the order of the samples."""
    digest = hashlib.sha256()
    for array in (split.inputs, split.targets):
        digest.update(f"{array.shape} {array.dtype.name}".encode())
        digest.update(
            np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).data
        )
    return digest.hexdigest()


def load_data(settings: Dataset, split_seed: int, download: bool = True) -> Data:
    """Read the training split, cut validation from it and fix the normalisation.

    Args:
        settings: which data.
        split_seed: drives the cut and the choice of a subset.
        download: whether to fetch what is not there.

    Raises:
        InputError: when the data is not there, or does not fit the settings.
    """
    whole, names = read(settings, "train", download)
    validation = None
    if settings.name == "image_folder" and validation_folder(data_root(settings)) is not None:
        validation, _ = read(settings, "val")
    rows = np.arange(len(whole))
    if settings.subset is not None and settings.subset < len(whole):
        rows, _ = _cut(rows, whole, len(whole) - settings.subset, split_seed, "dataset.subset")
    if validation is None:
        share = max(1, round(settings.validation * len(rows)))
        rows, held = _cut(rows, whole, share, split_seed, "dataset.validation")
        validation = whole.take(held)
    train = whole.take(rows)
    mean, std = _scale(settings, train)
    return Data(train, validation, names, mean, std)


def joined(settings: Dataset, data: Data) -> Data:
    """The same data with the validation split in the training split, and none to validate on."""
    inputs, targets = (
        np.concatenate([getattr(data.train, part), getattr(data.validation, part)])
        for part in ("inputs", "targets")
    )
    train = Split(inputs, targets)
    mean, std = _scale(settings, train)
    return Data(train, train.take(np.arange(0)), data.class_names, mean, std)


def load_test(settings: Dataset) -> Split:
    """Read the test split, which nothing but the measuring of a confirmed winner may ask for.

    Raises:
        InputError: when the dataset has none, or it is not there.
    """
    return read(settings, "test")[0]


def shape_of(settings: Dataset) -> tuple[tuple[int, ...], int]:
    """Input shape and number of outputs; needs no files for a built-in dataset."""
    if settings.name == "image_folder":
        data = load_data(settings, split_seed=0)
        return data.input_shape, data.outputs
    return known_shape(settings)


def input_spec(settings: Dataset, split_seed: int) -> InputSpec:
    """What a model of this data takes; reads the data only where that depends on it.

    Raises:
        InputError: when data that is needed for it is not there.
    """
    if settings.name == "image_folder" or settings.normalize == "standard":
        return load_data(settings, split_seed).spec
    (shape, _), names = known_shape(settings), known_classes(settings)
    return _spec(shape, names, *_fixed_scale(settings, shape[0]), outputs=len(names) or 1)


def _spec(
    shape: tuple[int, ...], names: tuple[str, ...], mean: Array, std: Array, outputs: int
) -> InputSpec:
    return InputSpec(
        shape=list(shape),
        outputs=outputs,
        class_names=list(names),
        mean=mean.tolist(),
        std=std.tolist(),
    )


def _cut(rows: Array, whole: Split, size: int, seed: int, path: str) -> tuple[Array, Array]:
    """Cut ``size`` of the rows off, every class in proportion; both parts in ascending order."""
    from sklearn.model_selection import train_test_split

    classes = whole.targets[rows] if whole.targets.ndim == 1 else None
    try:
        kept, cut = train_test_split(rows, test_size=size, stratify=classes, random_state=seed)
    except ValueError as error:
        raise InputError(f"{path}: {len(rows)} samples cannot be cut so: {error}") from None
    return np.sort(kept), np.sort(cut)


def _float32(values: Any) -> Array:
    return np.asarray(values, dtype=np.float32)


def _scale(settings: Dataset, train: Split) -> tuple[Array, Array]:
    """Mean and deviation, each of shape (channels,) or (1,), by which inputs are normalised."""
    if settings.normalize != "standard":
        return _fixed_scale(settings, train.inputs.shape[1])
    axes = (0, *range(2, train.inputs.ndim))
    unit = 255.0 if train.inputs.dtype == np.uint8 else 1.0
    mean = train.inputs.mean(axis=axes, dtype=np.float64) / unit
    std = train.inputs.std(axis=axes, dtype=np.float64) / unit
    return _float32(mean), _float32(np.where(std > 0, std, 1.0))


def _fixed_scale(settings: Dataset, channels: int) -> tuple[Array, Array]:
    """The normalisation that does not depend on the data."""
    if isinstance(settings.normalize, PixelScale):
        mean, std = settings.normalize.mean, settings.normalize.std
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                path = f"dataset.normalize.{name}"
                raise InputError(f"{path}: needs 1 or {channels} numbers, got {len(values)}")
        return _float32(mean), _float32(std)
    if settings.normalize == "signed":
        return _float32([0.5]), _float32([0.5])
    return _float32([0.0]), _float32([1.0])


@dataclass(frozen=True)
class DeviceSplit:
    """A split held whole on the training device, and the affine map that normalises its inputs."""

    inputs: torch.Tensor
    targets: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        return self.targets.device

    def batch(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised float32 inputs (batch, …) and targets (batch,) or (batch, 1) of some rows."""
        inputs = self.inputs[rows].to(torch.float32)
        return torch.addcmul(self.shift, inputs, self.scale), self.targets[rows]


def to_device(split: Split, data: Data, device: torch.device) -> DeviceSplit:
    """Move a split to the device; on a CPU its memory is shared, not copied."""
    unit = 255.0 if split.inputs.dtype == np.uint8 else 1.0
    shape = (-1, *(1 for _ in split.inputs.shape[2:]))  # (channels, 1, 1) or (features,)
    scale = torch.from_numpy(_float32(1.0 / (unit * data.std))).reshape(shape)
    shift = torch.from_numpy(_float32(-data.mean / data.std)).reshape(shape)
    with warnings.catch_warnings():  # arrays from Ray's object store are read-only; we only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        inputs, targets = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    return DeviceSplit(*(tensor.to(device) for tensor in (inputs, targets, scale, shift)))
