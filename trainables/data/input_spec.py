"""``InputSpec``: what a trained model takes and gives."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from spaces.sections import Section, Size
from trainables.data.own.preparation import TablePreparation, TargetScale


class InputSpec(Section):
    """What a trained model takes and gives; its bundle keeps it.

    ``shape`` is that of one sample; inputs in [0, 1] become ``(x - mean) / std``, by channel;
    ``class_names`` is empty for a regression. Of own data, ``table`` makes the inputs of columns,
    and ``target_scale`` makes of outputs what a regression answers.
    """

    shape: Annotated[list[Size], Field(min_length=1, max_length=3)]
    outputs: Size
    class_names: list[str]
    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    table: TablePreparation | None = None
    target_scale: TargetScale | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """As ``inputs.json`` holds it."""
        return self.model_dump(mode="json", exclude_none=True)

    @model_validator(mode="after")
    def _check_lengths(self) -> InputSpec:
        if self.class_names and len(set(self.class_names)) != self.outputs:
            raise ValueError(
                f"{self.outputs} outputs, but {len(set(self.class_names))} different class_names"
            )
        if not {len(self.mean), len(self.std)} <= {1, self.shape[0]}:
            raise ValueError(f"mean and std need 1 or {self.shape[0]} numbers each")
        if self.table is not None and [len(self.table.feature_names)] != self.shape:
            raise ValueError(
                f"the columns of the table are {len(self.table.feature_names)} features, "
                f"but shape is {self.shape}"
            )
        if (scale := self.target_scale) is not None:
            if self.class_names:
                raise ValueError("classes have no target_scale")
            if not len(scale.mean) == len(scale.std) == self.outputs:
                raise ValueError(f"target_scale needs {self.outputs} numbers each")
        return self
