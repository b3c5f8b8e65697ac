"""Lightning: a callback that reports each epoch, saves, stops and resumes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from trainables.user_code.context import Context

try:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import Checkpoint
except ImportError:
    try:
        from pytorch_lightning import LightningModule, Trainer
        from pytorch_lightning.callbacks import Checkpoint
    except ImportError as error:
        rule = "trainables.adapters.lightning needs Lightning: pip install lightning"
        raise ImportError(rule) from error


class ReportCallback(Checkpoint):  # type: ignore[misc]
    """Reports what a module logs, at the end of each training epoch, to a search.

    ``Trainer(callbacks=[report])`` and ``trainer.fit(model, ckpt_path=report.checkpoint)`` are all
    that a training needs. It stands in for Lightning's own checkpoints, so ``enable_checkpointing``
    must not be False. It runs after the module's own hooks and all other callbacks, so that it sees
    what they log. A trial that is stopped ends ``fit`` as an exception does: Lightning tears down,
    and ``finally`` blocks run.

    Args:
        context: of the trial.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folder = tempfile.TemporaryDirectory(prefix="shoal-")
        self._file = Path(self._folder.name) / "last.ckpt"
        self._drawn: torch.Tensor | None = None

    @property
    def checkpoint(self) -> str | None:
        """The file to go on from; None where the trial begins."""
        state = self._context.load()
        if state is None:
            return None
        torch.save(state["trainer"], self._file)
        self._drawn = state["drawn"]
        return str(self._file)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let what is drawn at random go on where the trial stood: Lightning does not keep that."""
        if self._drawn is not None:
            torch.set_rng_state(self._drawn)
            self._drawn = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the whole state of the trainer, and report all that was logged."""
        trainer.save_checkpoint(self._file)
        state = torch.load(self._file, map_location="cpu", weights_only=True)
        self._context.save({"trainer": _plain(state), "drawn": torch.get_rng_state()})
        self._context.report(dict(trainer.callback_metrics))


def _plain(state: Any) -> Any:
    """The same, whose mappings are dicts: Lightning's own kinds are none that is kept."""
    if isinstance(state, dict):
        return {key: _plain(held) for key, held in state.items()}
    return state
