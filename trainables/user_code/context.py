"""What the user's own code is given beside its configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trainables.checkpoints.saved_state import checked_state
from trainables.user_code.files import OwnFolder
from trainables.user_code.reporting import Reports


@dataclass
class Context:
    """What the user's code is given beside its configuration.

    ``device``: where to train. ``seed``: this trial's own. ``max_epochs``: how many epochs there
    can be. ``gpu_ids``: the GPUs that Ray gave this trial. ``trial``: its number, 0 where there is
    no search. ``epoch``: epochs already done, 0 unless resumed. ``state``: what was last saved,
    None unless resumed; ``state_epoch``: its epoch. ``folder``: for files of this trial's own.
    """

    device: torch.device
    seed: int
    max_epochs: int
    gpu_ids: tuple[str, ...] = ()
    trial: int = 0
    state: Any = None
    state_epoch: int = 0
    _epoch: int = 0
    _folder: OwnFolder = field(default_factory=lambda: OwnFolder(None))
    _reports: Reports = field(default_factory=Reports)

    @property
    def epoch(self) -> int:
        """Epochs done; they are counted here, by the reports."""
        return self._epoch

    @property
    def folder(self) -> Path:
        """A folder of this trial's own in the run's, made when it is first asked for.

        Raises:
            StorageError: when it can't be made on this machine.
        """
        return self._folder.path()

    @property
    def should_stop(self) -> bool:
        """Whether the trial is being ended; true in the ``finally`` blocks of code that is."""
        return self._reports.should_stop

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Report the metrics of an epoch, in a function that does not yield them.

        Where the trial ends with this report, the call does not return.

        Args:
            metrics: names and numbers; the metric of the search must be among them.

        Raises:
            TrialStopped: when the trial ends here. Let it pass; ``finally`` blocks run.
            RuntimeError: when the code yields its metrics, or calls this from another thread.
        """
        self._reports.hand_in(metrics)

    def save(self, state: Any) -> None:
        """Keep a state to resume from; call it before the report of the epoch it belongs to.

        Args:
            state: tensors, NumPy arrays, numbers, texts, and lists and dicts of them; such as
                state_dicts. It comes back as it was, but single numbers of NumPy's as Python's.

        Raises:
            TypeError: when it holds anything else, with the place where that stands.
        """
        plain = checked_state(state)
        self.state = copy.deepcopy(plain)  # the code goes on to change its tensors in place
        self.state_epoch = self.epoch + 1

    def load(self) -> Any:
        """What was saved last, to resume from; None in a trial that begins."""
        return self.state
