"""What the samples of own data become for a model, as their training split tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from spaces.problems import InputError, Problem, shown, unknown_name
from spaces.sections import Section
from trainables.data.own.columns import Column, Name, fit_column, moments, naming
from trainables.data.sources import Array, Split

MOST_COLUMNS = 5_000
MOST_FEATURES = 20_000


@dataclass(frozen=True)
class Samples:
    """Samples of a file as they stand there, before any preparation.

    ``inputs``: columns of a table, or an array of inputs. ``targets``: (samples,) texts, or
    (samples, values) float64. ``groups``: (samples,) texts.
    """

    inputs: pa.Table | Array
    targets: Array
    groups: Array | None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Array) -> Samples:
        """The samples at the given rows, in that order."""
        inputs = self.inputs.take(rows) if isinstance(self.inputs, pa.Table) else self.inputs[rows]
        return Samples(
            inputs, self.targets[rows], None if self.groups is None else self.groups[rows]
        )


class TablePreparation(Section):
    """How the columns of a table become features.

    ``target``: the name of the column that is predicted.
    """

    target: Name
    columns: Annotated[list[Column], Field(min_length=1, max_length=MOST_COLUMNS)]

    @property
    def names(self) -> list[str]:
        """The columns that a table must have."""
        return [column.name for column in self.columns]

    @property
    def feature_names(self) -> list[str]:
        """What each feature stands for, in the model's order."""
        return [name for column in self.columns for name in column.features]

    @property
    def types(self) -> dict[str, pa.DataType]:
        """As what the texts of a CSV file are read, by column."""
        return {column.name: column.type for column in self.columns}

    @property
    def scale(self) -> Array:
        """Mean and deviation of each feature, (features, 2) float64."""
        return np.array([pair for column in self.columns for pair in column.scale], np.float64)

    def raw(self, table: pa.Table) -> Array:
        """The features of a table before they are scaled, (rows, features) float64.

        Raises:
            InputError: when a column does not hold what it must.
        """
        return np.concatenate([_raw(column, table) for column in self.columns], axis=1)

    def features(self, table: pa.Table) -> Array:
        """The features of a table as the model takes them, (rows, features) float32.

        Raises:
            InputError: when a column does not hold what it must.
        """
        found = np.empty((table.num_rows, len(self.feature_names)), np.float32)
        done = 0
        with np.errstate(over="ignore"):
            for column in self.columns:
                mean, std = np.array(column.scale).T
                part = (_raw(column, table) - mean) / std
                found[:, done : done + len(mean)] = part
                done += len(mean)
        return found

    def notes(self, table: pa.Table) -> list[str]:
        """What the values of a table have that those of the training split had not."""
        notes = []
        for column in self.columns:
            with naming(column.name):
                if (note := column.note(table[column.name])) is not None:
                    notes.append(f"column {shown(column.name)}: {note}")
        return notes


def _raw(column: Column, table: pa.Table) -> Array:
    with naming(column.name):
        return column.raw(table[column.name])


def fit_table(table: pa.Table, target: str, categories: list[str]) -> TablePreparation:
    """The preparation that a training split asks for.

    Args:
        table: its inputs.
        target: the name of the column that is predicted.
        categories: columns of numbers that are names.

    Raises:
        InputError: naming every column that can't become features, with what to do.
    """
    columns: list[Column] = []
    problems: list[Problem] = []
    for name in table.column_names:
        try:
            with naming(name):
                columns.append(fit_column(name, table[name], name in categories))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    count = sum(len(column.features) for column in columns)
    if len(columns) > MOST_COLUMNS or count > MOST_FEATURES:
        most = f"at most {MOST_COLUMNS:,} columns may become {MOST_FEATURES:,} features"
        raise InputError(f"{most}, got {len(columns):,} and {count:,}; leave some out (drop)")
    return TablePreparation(target=target, columns=columns)


class TargetScale(Section):
    """A regression is trained on ``(value - mean) / std``, for each value of a sample."""

    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    def scaled(self, values: Array) -> Array:
        """Values as the model is trained on them, float32."""
        scaled: Array = ((values - np.array(self.mean)) / np.array(self.std)).astype(np.float32)
        return scaled

    def in_units(self, outputs: Array) -> Array:
        """What a model gives, in the target's own units, float64."""
        values: Array = outputs.astype(np.float64) * np.array(self.std) + np.array(self.mean)
        return values


def fit_target(values: Array) -> TargetScale:
    """The scale that the values of a training split, (samples, values), ask for."""
    mean, std = zip(*(moments(column) for column in values.T), strict=True)
    return TargetScale(mean=list(mean), std=list(std))


@dataclass(frozen=True)
class Preparation:
    """All that own data become, as their training split tells.

    ``class_names``: empty for a regression. ``table``: for a table. ``target_scale``: for a
    regression.
    """

    class_names: tuple[str, ...]
    table: TablePreparation | None
    target_scale: TargetScale | None

    def split(self, samples: Samples) -> Split:
        """The samples ready for training.

        Raises:
            InputError: when they do not fit what the training split tells.
        """
        inputs = samples.inputs if self.table is None else self.table.features(samples.inputs)
        if self.target_scale is not None:
            return Split(inputs, self.target_scale.scaled(samples.targets))
        return Split(inputs, self._numbered(samples.targets))

    def _numbered(self, labels: Array) -> Array:
        number = {name: place for place, name in enumerate(self.class_names)}
        for label in np.unique(labels):
            if label not in number:
                raise InputError(unknown_name("class", str(label), self.class_names))
        return np.array([number[label] for label in labels], np.int64)
