"""What the user's own code is given beside its configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from spaces.logged import MOST_PER_EPOCH
from trainables.checkpoints.saved_state import checked_state
from trainables.user_code.files import Files, OwnFolder
from trainables.user_code.logged import checked_name, figure_bytes, image_bytes, text_bytes
from trainables.user_code.metrics import checked_metrics
from trainables.user_code.random_state import RandomState, set_random_state
from trainables.user_code.reporting import Reports


@dataclass
class Context:
    """What the user's code is given beside its configuration.

    ``device``: where to train. ``seed``: this trial's own. ``max_epochs``: how many epochs there
    can be. ``gpu_ids``: the GPUs that Ray gave this trial. ``trial``: its number, 0 where there is
    no search. ``rank``, ``world_size``, ``local_rank``: which of the processes that train this
    trial together it is, how many there are, and which it is on its node. ``epoch``: epochs already
    done, 0 unless resumed. ``state``: what was last saved, None unless resumed; ``state_epoch``:
    its epoch. ``folder``: for files of this trial's own.
    """

    device: torch.device
    seed: int
    max_epochs: int
    gpu_ids: tuple[str, ...] = ()
    trial: int = 0
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    state_epoch: int = 0
    _saved: Any = None
    _given: Any = None  # of what was saved: the copy that the code has
    _epoch: int = 0
    _drawn: RandomState | None = None  # until the first report of a trial that resumes
    _asked: set[str] = field(default_factory=set)  # for what it was put back already
    _folder: OwnFolder = field(default_factory=lambda: OwnFolder(None))
    _files: dict[str, bytes] = field(default_factory=dict)
    _reports: Reports = field(default_factory=Reports)
    _logged: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs done; they are counted here, by the reports."""
        self._put_random_state_back("epoch")
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
            TypeError: when they are no such mapping.
            TrialStopped: when the trial ends here. Let it pass; ``finally`` blocks run.
            RuntimeError: when the code yields its metrics, or calls this from another thread.
        """
        self._reports.hand_in(checked_metrics(metrics))

    def save(self, state: Any = None, files: Files = ()) -> None:
        """Keep a state to resume from; call it before the report of the epoch it belongs to.

        Args:
            state: tensors, NumPy arrays, numbers, texts, and lists and dicts of them; such as
                state_dicts. It comes back as it was, but single numbers of NumPy's as Python's.
            files: a file or folder in ``folder`` that belongs to the state, or several, such as
                those that a framework writes. A trial that resumes finds them there as they are
                now.

        Raises:
            TypeError: when the state holds anything else, with the place where that stands.
            ValueError: when a file is not there, or not in the folder.
        """
        plain = checked_state(state)
        self._files = self._folder.read(files) if self.rank == 0 else {}
        self._saved = copy.deepcopy(plain)  # the code goes on to change its tensors in place
        self._given = None
        self.state_epoch = self._epoch + 1

    @property
    def state(self) -> Any:
        """What was saved last, as a copy that the code may change; None in a trial that begins."""
        self._put_random_state_back("state")
        if self._given is None:
            self._given = copy.deepcopy(self._saved)
        return self._given

    def load(self) -> Any:
        """What was saved last, to resume from; None in a trial that begins."""
        return self.state

    def _put_random_state_back(self, asked_for: str) -> None:
        """Let the global generators go on from the saved epoch, when it is first asked for.

        Code that resumes asks for its state and its epoch, in either order and with a model built
        before, after or in between; what that draws shall not count. So the last of the two holds.
        """
        if self._drawn is not None and asked_for not in self._asked:
            self._asked.add(asked_for)
            set_random_state(self._drawn, self.device)

    def log_image(self, name: str, image: Any) -> None:
        """Show an image in TensorBoard, at the epoch that is reported next.

        Args:
            name: under which it is shown.
            image: PIL's, or an array or tensor of shape (height, width), (height, width, channels)
                or (channels, height, width), of uint8, bool, or floats in [0, 1].

        Raises:
            TypeError: when it is no image.
            ValueError: when its values are none of an image, or it is too large.
        """
        self._log("image", name, image_bytes(image))

    def log_figure(self, name: str, figure: Any) -> None:
        """Show a figure of Matplotlib's in TensorBoard, at the epoch that is reported next.

        Raises:
            TypeError: when it is none.
            ValueError: when it is too large.
        """
        self._log("image", name, figure_bytes(figure))

    def log_text(self, name: str, text: str) -> None:
        """Show a text, which may be Markdown, in TensorBoard, at the epoch that is reported next.

        Raises:
            TypeError: when it is no text.
            ValueError: when it is too long.
        """
        self._log("text", name, text_bytes(text))

    def _log(self, kind: str, name: str, content: bytes) -> None:
        if len(self._logged) == MOST_PER_EPOCH:
            raise ValueError(f"an epoch may log {MOST_PER_EPOCH} images and texts, not more")
        self._logged.append((kind, checked_name(name), content))
