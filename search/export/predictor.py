"""``Predictor``: a bundle's model with all that goes before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from search.export.inference import load_whole
from spaces.problems import InputError
from spaces.settings.data_files import (
    column_names,
    is_table,
    missing_columns,
    read_arrays,
    read_table,
)
from trainables.data.input_spec import InputSpec
from trainables.data.own.layout import checked_inputs
from trainables.data.own.preparation import TablePreparation
from trainables.data.sources import Array

_BATCH = 4096  # samples at a time, for memory's sake


@dataclass(frozen=True)
class Answers:
    """What a model says of samples.

    ``predictions``: (samples,) the likeliest classes, or (samples, values) in the target's units.
    ``probabilities``: (samples, classes); None for a regression. ``notes``: what the model was
    asked that its training data had not.
    """

    predictions: Array
    probabilities: Array | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def table(self) -> pa.Table:
        """A row for each sample: ``prediction``, and ``probability.<class>`` for each class.

        Of several values there is a ``prediction.<number>`` for each.
        """
        if self.probabilities is not None:
            probable = zip(self.class_names, self.probabilities.T, strict=True)
            columns = {f"probability.{name}": held for name, held in probable}
            return pa.table({"prediction": pa.array(self.predictions), **columns})
        if self.predictions.shape[1] == 1:
            return pa.table({"prediction": self.predictions[:, 0]})
        values = enumerate(self.predictions.T)
        return pa.table({f"prediction.{number}": held for number, held in values})

    def arrays(self) -> dict[str, Array]:
        """The same as arrays, none of which holds Python objects."""
        if self.probabilities is None:
            return {"predictions": self.predictions}
        return {
            "predictions": self.predictions.astype(str),
            "probabilities": self.probabilities,
            "class_names": np.array(self.class_names),
        }


@dataclass(frozen=True)
class Predictor:
    """A trained model, and what its bundle says of inputs and answers.

    ``model``: takes what ``features`` gives. ``inputs``: the bundle's ``inputs.json``.
    """

    model: nn.Module
    inputs: InputSpec

    def features(self, data: Any) -> torch.Tensor:
        """Inputs as the model takes them, (samples, …) float32, all preparation done.

        Args:
            data: for a model of a table a pandas frame or a ``pyarrow.Table`` with its columns;
                for others an array, as ``x`` of its ``.npz`` file; or the name of such a file.

        Raises:
            InputError: when a column is missing, or the data is not what the model was trained on.
        """
        table = self.inputs.table
        if isinstance(data, str | Path):
            data, _ = self.read(Path(data))
        if table is not None:
            return torch.from_numpy(table.features(_columns_of(data, table)))
        inputs = checked_inputs(np.asarray(data))
        if list(inputs.shape[1:]) != self.inputs.shape:
            raise InputError(
                f"the model takes samples of the shape {tuple(self.inputs.shape)}, "
                f"got {inputs.shape[1:]}"
            )
        unit = 255.0 if inputs.dtype == np.uint8 else 1.0
        shape = (-1, *(1 for _ in self.inputs.shape[1:]))
        scale = (self.inputs.mean, self.inputs.std)
        mean, std = (np.array(values, np.float32).reshape(shape) for values in scale)
        with np.errstate(all="ignore"):
            return torch.from_numpy((inputs.astype(np.float32) / np.float32(unit) - mean) / std)

    def predict(self, data: Any) -> Answers:
        """What the model says of samples.

        Args:
            data: as for ``features``.

        Raises:
            InputError: as ``features``; or when the bundle gives no finite answer.
        """
        notes: tuple[str, ...] = ()
        if isinstance(data, str | Path):
            data, _ = self.read(Path(data))
        if self.inputs.table is not None:
            data = _columns_of(data, self.inputs.table)
            notes = tuple(self.inputs.table.notes(data))
        with torch.inference_mode():
            parts = [self.model(part) for part in torch.split(self.features(data), _BATCH)]
        outputs = torch.cat(parts).double()
        if not (is_finite := outputs.isfinite().all(dim=1)).all():
            row = int((~is_finite).int().argmax()) + 1
            raise InputError(f"sample {row} gives no finite answer: it, or the bundle, is damaged")
        names = tuple(self.inputs.class_names)
        if names:
            likeliest = np.array(names, dtype=object)[outputs.argmax(dim=1).numpy()]
            return Answers(likeliest, outputs.softmax(dim=1).numpy(), names, notes)
        values, scale = outputs.numpy(), self.inputs.target_scale
        return Answers(values if scale is None else scale.in_units(values), None, (), notes)

    def read(self, file: Path) -> tuple[Any, list[str]]:
        """The samples of a file, and the names of columns that the model does not use.

        Args:
            file: for a model of a table a CSV or Parquet file, with or without the target; for
                others an ``.npz`` file with ``x``.

        Raises:
            InputError: when it is of another kind, or lacks columns, which are listed.
        """
        table = self.inputs.table
        if table is None:
            if is_table(str(file)):
                raise InputError(f"{file} is a table, and the model was not trained on one")
            return read_arrays(str(file), ["x"])["x"], []
        if not is_table(str(file)):
            raise InputError(f"the model was trained on a table, and takes one, got {file}")
        used = {*table.names, table.target}
        ignored = [name for name in column_names(str(file)) if name not in used]
        return read_table(str(file), table.names, table.types), ignored


def _columns_of(data: Any, table: TablePreparation) -> pa.Table:
    """The columns that a model takes, of a frame or an Arrow table.

    Raises:
        InputError: listing those that are missing.
    """
    held = data
    if not isinstance(held, pa.Table):
        try:
            held = pa.Table.from_pandas(data, preserve_index=False)
        except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
            raise InputError(f"must be a pandas frame or a pyarrow.Table: {error}") from None
    if missing := [name for name in table.names if name not in held.column_names]:
        raise InputError(missing_columns(missing, held.column_names))
    return held.select(table.names)


def load_predictor(folder: str | Path) -> Predictor:
    """The model of a bundle, with the preparation of its inputs and of its answers.

    Raises:
        InputError: when the bundle is damaged, or holds the result of a user's own code.
    """
    model, _, inputs = load_whole(Path(folder))
    return Predictor(model, inputs)
