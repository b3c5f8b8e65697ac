"""``Table`` and ``Arrays``: the user's own data, from files."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from spaces.problems import shown
from spaces.sections import Location, Section, Size
from spaces.settings.dataset import Classes, PixelScale, parse_normalize

Task: TypeAlias = Literal["classification", "regression"]
Column: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
FILES = ("file", "train", "validation", "test")  # the fields that may name a file


def _parse_part(value: Any) -> float | str:
    if isinstance(value, str) and value.isprintable() and value:
        return value
    if isinstance(value, float) and 0.0 < value < 1.0:
        return value
    raise ValueError(f"must be a share between 0 and 1, or a file, got {shown(value)}")


def _parse_optional_part(value: Any) -> float | str | None:
    return None if value is None else _parse_part(value)


def _parse_optional_normalize(value: Any) -> Any:
    return None if value is None else parse_normalize(value)


class OwnData(Section):
    """What a table and arrays have in common.

    ``file`` or ``train`` holds the samples to train on. ``validation`` and ``test`` are files of
    their own, or shares that are cut from it. ``task`` left out: the target tells. All samples of
    one ``group`` are in the same split.
    """

    name: Literal["table", "arrays"]
    file: Location | None = None
    train: Location | None = None
    validation: Annotated[float | str, PlainValidator(_parse_part)] = 0.2
    test: Annotated[float | str | None, PlainValidator(_parse_optional_part)] = None
    task: Task | None = None
    group: Column | None = None
    subset: Size | None = None
    classes: Classes | None = None

    @model_validator(mode="after")
    def _check_files(self) -> OwnData:
        if (self.file is None) == (self.train is None):
            given = "neither" if self.file is None else "both"
            raise ValueError(f"needs file or train, the samples to train on; got {given}")
        self.check_task()
        return self

    def check_task(self) -> None:
        """See that the settings fit the task, as far as that is known.

        Raises:
            ValueError: when they do not.
        """
        if self.is_regression and self.classes is not None:
            raise ValueError("classes are for classification; this is a regression")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes must differ from each other, got {shown(self.classes)}")

    @property
    def is_regression(self) -> bool:
        return self.task == "regression"

    @property
    def training_place(self) -> str:
        """The field that names the file with the samples to train on."""
        return "file" if self.train is None else "train"

    @property
    def training_file(self) -> str:
        """The file with the samples to train on."""
        file = self.file or self.train
        assert file is not None
        return file


class Table(OwnData):
    """A CSV or Parquet file: all columns but ``target``, ``group`` and ``drop`` are inputs.

    ``categories``: columns of numbers that are names, such as a postcode.
    """

    name: Literal["table"]
    target: Column
    drop: list[Column] = Field(default=[])
    categories: list[Column] = Field(default=[])

    @model_validator(mode="after")
    def _check_columns(self) -> Table:
        lists = {"drop": self.drop, "categories": self.categories}
        named = {"target": [self.target], "group": [self.group] if self.group else [], **lists}
        for first, second in _PAIRS:
            if both := sorted({*named[first]} & {*named[second]}):
                raise ValueError(f"{shown(both[0])} can't be in {first} and in {second}")
        return self


_PAIRS = (
    ("target", "group"),
    ("target", "drop"),
    ("target", "categories"),
    ("group", "categories"),
    ("drop", "categories"),
)


class Arrays(OwnData):
    """An ``.npz`` file with ``x`` and ``y``; ``group`` names a third array.

    ``normalize`` left out: features get mean 0 and deviation 1, images stay in [0, 1].
    """

    name: Literal["arrays"]
    normalize: Annotated[
        Literal["none", "signed", "standard"] | PixelScale | None,
        BeforeValidator(_parse_optional_normalize),
    ] = None

    @model_validator(mode="after")
    def _check_group(self) -> Arrays:
        if self.group in ("x", "y"):
            raise ValueError(f"group must be an array of its own, got {shown(self.group)}")
        return self
