"""The built-in datasets, read whole as arrays."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.problems import InputError, unknown_name
from spaces.settings.any_dataset import AnyDataset
from spaces.settings.dataset import Dataset

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Inputs with their targets.

    ``inputs``: (samples, channels, height, width) uint8, or (samples, …) float32.
    ``targets``: (samples,) int64 classes, or (samples, 1) float32 values.
    """

    inputs: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Array) -> Split:
        """The samples at the given rows, in that order."""
        return Split(self.inputs[rows], self.targets[rows])


@dataclass(frozen=True)
class Source:
    """What is known of a built-in dataset without reading it, and how to read a split of it."""

    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    read: Callable[[Path, bool, bool], Split]


def data_root(settings: Dataset) -> Path:
    """The folder that holds the files: ``root``, else $SHOAL_DATA, else ``data``."""
    return Path(settings.root or os.environ.get("SHOAL_DATA") or "data")


def known_shape(settings: Dataset) -> tuple[tuple[int, ...], int]:
    """Input shape and number of outputs of a built-in dataset, without reading it."""
    return SOURCES[settings.name].input_shape, len(known_classes(settings)) or 1


def known_classes(settings: Dataset) -> tuple[str, ...]:
    """The class names of a built-in dataset, without reading it; none for a regression."""
    return chosen_classes(SOURCES[settings.name].class_names, settings)


def chosen_classes(names: tuple[str, ...], settings: AnyDataset) -> tuple[str, ...]:
    """The classes that the settings ask for: all, or some in an order of their own.

    Raises:
        InputError: when the dataset has no such class.
    """
    if settings.classes is None:
        return names
    for name in settings.classes:
        if name not in names:
            raise InputError(f"dataset.classes: {unknown_name('class', name, names)}")
    return tuple(settings.classes)


def _float32(values: Any) -> Array:
    return np.asarray(values, dtype=np.float32)


def _read_digits(root: Path, train: bool, download: bool) -> Split:
    """scikit-learn's own file: to import scikit-learn takes longer than to search a little."""
    place = importlib.util.find_spec("sklearn")
    assert place is not None
    assert place.origin is not None
    file = Path(place.origin).parent / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(file, delimiter=",", dtype=np.float32)  # (1797, 64 pixels and a class)
    images = rows[:, :-1].reshape(-1, 1, 8, 8) / _float32(16)  # in [0, 1]
    return _every_fifth_is_test(images, rows[:, -1].astype(np.int64), train)


def _read_diabetes(root: Path, train: bool, download: bool) -> Split:
    """Targets are scaled to mean 0 and deviation 1 over the training split."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    inputs, targets = _float32(bunch.data), bunch.target[:, None]
    training = _every_fifth_is_test(inputs, targets, True).targets
    targets = _float32((targets - training.mean()) / training.std())
    return _every_fifth_is_test(inputs, targets, train)


def _read_linear(root: Path, train: bool, download: bool) -> Split:
    """30 points on the noisy line y = 2 x + 10 with x in [0, 100); the test split has 30 more."""
    generator = np.random.default_rng(0 if train else 1)
    x = generator.uniform(0.0, 100.0, size=(30, 1))
    y = 2.0 * x + 10.0 + generator.normal(0.0, 5.0, size=(30, 1))
    return Split(_float32(x), _float32(y))


def _every_fifth_is_test(inputs: Array, targets: Array, train: bool) -> Split:
    """scikit-learn's bundled sets have no test split of their own: ours is every fifth sample."""
    is_test = np.arange(len(inputs)) % 5 == 4
    rows = np.flatnonzero(~is_test if train else is_test)
    return Split(inputs[rows], targets[rows])


def _torchvision(name: str) -> Callable[[Path, bool, bool], Split]:
    def read(root: Path, train: bool, download: bool) -> Split:
        import torchvision

        kind = getattr(torchvision.datasets, name)
        try:
            dataset = _open_or_download(kind, root, train, download)
        except Exception as error:
            reason = " ".join(str(error).split())
            message = f"{name} is not in {root.resolve()} and cannot be downloaded: {reason}"
            own = "'dataset={name: image_folder, root: FOLDER}' takes images as files"
            raise InputError(
                f"dataset: {message}; set dataset.root or SHOAL_DATA, or --set {own}"
            ) from None
        images = np.asarray(dataset.data)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        return Split(np.ascontiguousarray(images), np.asarray(dataset.targets, dtype=np.int64))

    return read


def _open_or_download(kind: Any, root: Path, train: bool, download: bool) -> Any:
    try:
        return kind(root, train=train)
    except RuntimeError:
        if not download:
            raise
        return kind(root, train=train, download=True)


_DIGITS = tuple("0123456789")
_FASHION = (
    "t-shirt trouser pullover dress coat sandal shirt sneaker bag ankle-boot".split()  # noqa: SIM905
)
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
_CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge
bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout
tulip turtle wardrobe whale willow_tree wolf woman worm""".split()  # noqa: SIM905

SOURCES = {
    "digits": Source((1, 8, 8), _DIGITS, _read_digits),
    "mnist": Source((1, 28, 28), _DIGITS, _torchvision("MNIST")),
    "fashion_mnist": Source((1, 28, 28), tuple(_FASHION), _torchvision("FashionMNIST")),
    "kmnist": Source(
        (1, 28, 28),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        _torchvision("KMNIST"),
    ),
    "cifar10": Source((3, 32, 32), tuple(_CIFAR10), _torchvision("CIFAR10")),
    "cifar100": Source((3, 32, 32), tuple(_CIFAR100), _torchvision("CIFAR100")),
    "linear": Source((1,), (), _read_linear),
    "diabetes": Source((10,), (), _read_diabetes),
}
