"""Which trainings can be part of a shoal, and which swim together: those of one kind."""

from __future__ import annotations

import json
from collections.abc import Iterator

from spaces.settings.train import FOR_IMAGES
from spaces.training_config import AnyConfig, TrainConfig

# what may differ between the lanes of a shoal: data, one entry per lane
_LANES_BLOCK = {"norm", "activation", "dropout"}
_LANES_MODEL = {*_LANES_BLOCK, "init", "norm_groups", "block_norm", "block_dropout"}
_LANES_TRAIN = {
    "lr",
    "momentum",
    "nesterov",
    "weight_decay",
    "norm_penalty",
    "clip_norm",
    "schedule",
    "label_smoothing",
    "class_weights",
    "patience",
    *FOR_IMAGES,
    "mixup",
}
_LANES = {"seed", "epochs", "max_epochs"}


def kind_of(config: TrainConfig) -> str:
    """What the trainings of a shoal have in common, such as widths, batch size and optimizer."""
    data = config.model_dump(mode="json", exclude=_LANES)
    for section, free in (("model", _LANES_MODEL), ("train", _LANES_TRAIN)):
        data[section] = {key: value for key, value in data[section].items() if key not in free}
    for block in data["model"].get("blocks", ()):
        for key in _LANES_BLOCK:
            del block[key]
    data["model"]["dropconnect"] = config.model.dropconnect > 0  # its rate is data
    if config.train.optimizer == "adamw":
        data["train"]["optimizer"] = "adam"  # they differ in what weight decay is, which is data
    return json.dumps(data, sort_keys=True)


def unfit(config: AnyConfig) -> list[str]:
    """Which settings of a training keep it out of a shoal; none: it can swim."""
    if not isinstance(config, TrainConfig):
        return ["trainable: your own code"]
    return list(_unfit(config))


def _unfit(config: TrainConfig) -> Iterator[str]:
    if config.train.compile:
        yield "train.compile: true"
    if config.diagnostics:
        yield "diagnostics: true"
    if config.final:  # only ``shoal train`` sets it, for one training
        yield "final: true"
