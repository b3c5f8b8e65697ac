"""``Dataset``: built-in data, or a folder of images."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from spaces.problems import shown
from spaces.sections import Location, Section, Size


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


Classes: TypeAlias = Annotated[list[str], BeforeValidator(_texts), Field(min_length=2)]


def parse_normalize(value: Any) -> Any:
    """The scale of inputs by its name, or by its constants."""
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
    classes: Classes | None = None
    image_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    normalize: Annotated[
        Literal["none", "signed", "standard"] | PixelScale, BeforeValidator(parse_normalize)
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
