"""Hugging Face ``Trainer``: a callback that reports each epoch, saves, stops and resumes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch

from trainables.user_code.context import Context

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    rule = "trainables.adapters.transformers needs Transformers: pip install transformers[torch]"
    raise ImportError(rule) from error

_WEIGHTS = "model.safetensors"


class ReportCallback(TrainerCallback):  # type: ignore[misc]
    """Reports the metrics of each evaluation to a search, with the checkpoint that follows it.

    ``Trainer(callbacks=[report])`` and ``trainer.train(resume_from_checkpoint=report.checkpoint)``.
    The ``TrainingArguments`` must have ``eval_strategy`` and ``save_strategy`` "epoch", so that an
    epoch of the search is one of the trainer's. Metrics have the trainer's names (``eval_loss``).

    Args:
        context: of the trial.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folder = tempfile.TemporaryDirectory(prefix="shoal-")
        self._metrics: dict[str, Any] = {}

    @property
    def checkpoint(self) -> str | None:
        """The folder to go on from; None where the trial begins."""
        state = self._context.load()
        if state is None:
            return None
        folder = Path(self._folder.name) / "checkpoint"
        folder.mkdir(exist_ok=True)
        weights = {name: tensor.clone() for name, tensor in state["model"].items()}
        safetensors.torch.save_file(weights, folder / _WEIGHTS, {"format": "pt"})
        for name, content in state["files"].items():
            (folder / name).write_bytes(content)
        return str(folder)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See that each epoch is evaluated and saved.

        Raises:
            ValueError: when it is not.
        """
        for name in ("eval_strategy", "save_strategy"):
            value = getattr(args, name)
            if value != "epoch":
                shown = getattr(value, "value", value)
                raise ValueError(f'TrainingArguments: {name} must be "epoch", got {shown!r}')

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **kwargs: Any,
    ) -> None:
        """Keep the metrics until the checkpoint is written."""
        self._metrics = metrics

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save what the trainer has just written, and report."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        files = [file for file in folder.iterdir() if file.is_file() and file.name != _WEIGHTS]
        weights = kwargs["model"].state_dict()  # the file may have other names: of older versions
        self._context.save(
            {
                "model": {name: tensor.detach().cpu() for name, tensor in weights.items()},
                "files": {file.name: file.read_bytes() for file in files},
            }
        )
        self._context.report(self._metrics)
