"""Data ready for training: splits cut by seed, normalisation, and splits held on the device."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spaces.problems import InputError
from spaces.settings.any_dataset import AnyDataset
from spaces.settings.dataset import PixelScale
from spaces.settings.own_data import Arrays, OwnData, Table
from trainables.data.cuts import cut
from trainables.data.datasets import read
from trainables.data.image_folder import validation_folder
from trainables.data.sources import Array, Split, data_root, known_classes, known_shape

if TYPE_CHECKING:  # they need pyarrow, which only own data do
    from trainables.data.input_spec import InputSpec
    from trainables.data.own.preparation import Preparation


@dataclass(frozen=True)
class Data:
    """A dataset ready for training: two splits, class names and the normalisation of inputs.

    ``class_names`` is empty for a regression. Inputs in [0, 1] become ``(x - mean) / std``, with
    ``mean`` and ``std`` of shape (channels,) or (1,), taken from the training split only.
    ``own``: how the user's own data were prepared before.
    """

    train: Split
    validation: Split
    class_names: tuple[str, ...]
    mean: Array
    std: Array
    own: Preparation | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.train.inputs.shape[1:])

    @property
    def outputs(self) -> int:
        return len(self.class_names) or int(self.train.targets.shape[1])

    @property
    def spec(self) -> InputSpec:
        """What a model of this data takes and gives."""
        spec = _spec(self.input_shape, self.class_names, self.mean, self.std, self.outputs)
        if self.own is None:
            return spec
        own = {"table": self.own.table, "target_scale": self.own.target_scale}
        return spec.model_copy(update=own)

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


def load_data(settings: AnyDataset, split_seed: int, download: bool = True) -> Data:
    """Read the training split, cut validation from it and fix the normalisation.

    Args:
        settings: which data.
        split_seed: drives the cut and the choice of a subset.
        download: whether to fetch what is not there.

    Raises:
        InputError: when the data is not there, or does not fit the settings.
    """
    if isinstance(settings, OwnData):
        return _own_data(settings, split_seed)
    whole, names = read(settings, "train", download)
    classes = whole.targets if whole.targets.ndim == 1 else None
    validation = None
    if settings.name == "image_folder" and validation_folder(data_root(settings)) is not None:
        validation, _ = read(settings, "val")
    rows = np.arange(len(whole))
    if settings.subset is not None and settings.subset < len(whole):
        rest = len(whole) - settings.subset
        rows, _ = cut(rows, rest, split_seed, "dataset.subset", classes)
    if validation is None:
        share = max(1, round(settings.validation * len(rows)))
        rows, held = cut(rows, share, split_seed, "dataset.validation", classes)
        validation = whole.take(held)
    train = whole.take(rows)
    mean, std = _scale(settings, train)
    return Data(train, validation, names, mean, std)


def _own_data(settings: Table | Arrays, split_seed: int, is_final: bool = False) -> Data:
    from trainables.data.own.loading import load_own

    train, validation, own = load_own(settings, split_seed, is_final)
    mean, std = _scale(settings, train)
    return Data(train, validation, own.class_names, mean, std, own)


def joined(settings: AnyDataset, data: Data, split_seed: int) -> Data:
    """The same data with the validation split in the training split, and none to validate on.

    Args:
        settings: which data.
        data: as ``load_data`` gave them.
        split_seed: with which it did.
    """
    if isinstance(settings, OwnData):
        return _own_data(settings, split_seed, is_final=True)
    inputs, targets = (
        np.concatenate([getattr(data.train, part), getattr(data.validation, part)])
        for part in ("inputs", "targets")
    )
    train = Split(inputs, targets)
    mean, std = _scale(settings, train)
    return Data(train, train.take(np.arange(0)), data.class_names, mean, std)


def load_test(settings: AnyDataset, data: Data | None = None) -> Split:
    """Read the test split, which nothing but the measuring of a confirmed winner may ask for.

    Args:
        settings: which data.
        data: what is trained on, whose preparation the test split of own data gets.

    Raises:
        InputError: when the dataset has none, or it is not there.
    """
    if isinstance(settings, OwnData):
        from trainables.data.own.loading import load_own_test

        assert data is not None
        assert data.own is not None
        return load_own_test(settings, data.own)
    return read(settings, "test")[0]


def shape_of(settings: AnyDataset, split_seed: int = 0) -> tuple[tuple[int, ...], int]:
    """Input shape and number of outputs; needs no files for a built-in dataset."""
    if isinstance(settings, OwnData) or settings.name == "image_folder":
        data = load_data(settings, split_seed)
        return data.input_shape, data.outputs
    return known_shape(settings)


def input_spec(settings: AnyDataset, split_seed: int) -> InputSpec:
    """What a model of this data takes; reads the data only where that depends on it.

    Raises:
        InputError: when data that is needed for it is not there.
    """
    if isinstance(settings, OwnData) or (
        settings.name == "image_folder" or settings.normalize == "standard"
    ):
        return load_data(settings, split_seed).spec
    (shape, _), names = known_shape(settings), known_classes(settings)
    return _spec(shape, names, *_fixed_scale(settings.normalize, shape[0]), outputs=len(names) or 1)


def _spec(
    shape: tuple[int, ...], names: tuple[str, ...], mean: Array, std: Array, outputs: int
) -> InputSpec:
    from trainables.data.input_spec import InputSpec

    return InputSpec(
        shape=list(shape),
        outputs=outputs,
        class_names=list(names),
        mean=mean.tolist(),
        std=std.tolist(),
    )


def _float32(values: Any) -> Array:
    return np.asarray(values, dtype=np.float32)


def _scale(settings: AnyDataset, train: Split) -> tuple[Array, Array]:
    """Mean and deviation, each of shape (channels,) or (1,), by which inputs are normalised."""
    how = _normalisation(settings, train)
    if how != "standard":
        return _fixed_scale(how, train.inputs.shape[1])
    axes = (0, *range(2, train.inputs.ndim))
    unit = 255.0 if train.inputs.dtype == np.uint8 else 1.0
    mean = train.inputs.mean(axis=axes, dtype=np.float64) / unit
    std = train.inputs.std(axis=axes, dtype=np.float64) / unit
    return _float32(mean), _float32(np.where(std > 0, std, 1.0))


def _normalisation(settings: AnyDataset, train: Split) -> str | PixelScale:
    """How inputs are normalised; the features of a table are scaled by its preparation."""
    if isinstance(settings, Table):
        return "none"
    if isinstance(settings, Arrays) and settings.normalize is None:
        return "standard" if train.inputs.ndim == 2 else "none"
    assert settings.normalize is not None
    return settings.normalize


def _fixed_scale(how: str | PixelScale, channels: int) -> tuple[Array, Array]:
    """The normalisation that does not depend on the data."""
    if isinstance(how, PixelScale):
        mean, std = how.mean, how.std
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, channels):
                path = f"dataset.normalize.{name}"
                raise InputError(f"{path}: needs 1 or {channels} numbers, got {len(values)}")
        return _float32(mean), _float32(std)
    if how == "signed":
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
        """Normalised inputs (batch, …) and targets (batch,) or (batch, targets) of some rows."""
        inputs = self.inputs[rows].to(self.scale.dtype)
        return torch.addcmul(self.shift, inputs, self.scale), self.targets[rows]


def to_device(split: Split, data: Data, device: torch.device) -> DeviceSplit:
    """Move a split to the device; on a CPU its memory is shared, not copied.

    Inputs are normalised to PyTorch's default type of floats, which is that of the models.
    """
    unit = 255.0 if split.inputs.dtype == np.uint8 else 1.0
    shape = (-1, *(1 for _ in split.inputs.shape[2:]))  # (channels, 1, 1) or (features,)
    scale = torch.from_numpy(_float32(1.0 / (unit * data.std))).reshape(shape)
    shift = torch.from_numpy(_float32(-data.mean / data.std)).reshape(shape)
    with warnings.catch_warnings():  # arrays from Ray's object store are read-only; we only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        inputs, targets = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    floats = torch.get_default_dtype()
    if targets.is_floating_point():
        targets = targets.to(floats)
    held = (inputs, targets, scale.to(floats), shift.to(floats))
    return DeviceSplit(*(tensor.to(device) for tensor in held))
