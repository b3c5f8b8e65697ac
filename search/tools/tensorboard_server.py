"""``shoal tensorboard``: TensorBoard on a run, or on a view of its best trials."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from analysis.record.folder import RunFolder, open_run
from analysis.record.lock import is_locked
from analysis.record.trials import Trials
from analysis.views.tensorboard import best_view
from spaces.experiment import Experiment
from spaces.problems import InputError

TOP = 20
REFRESH_SECONDS = 15.0


def shown_trials(experiment: Experiment, trials: Trials, top: int) -> list[int]:
    """The best trials, the baseline, and those that are running."""
    best = [trial.number for trial in trials.ranked(experiment.metric)[:top]]
    baseline = [0] if experiment.baseline is not None and len(trials) else []
    return list(dict.fromkeys([*best, *baseline, *trials.running]))


def serve_tensorboard(folder: RunFolder, top: int | None, port: int) -> NoReturn:
    """Become TensorBoard; while the run is searched, keep its view of the best up to date.

    Args:
        folder: the run.
        top: show so many of the best, the baseline and what is running; None: every training.
        port: where it listens, on this machine only.
    """
    shown = folder.tensorboard if top is None else folder.path / f"tensorboard-top{top}"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(shown)]
    command += ["--host", "localhost", "--port", str(port), "--reload_interval", "5"]
    if top is None:
        os.execv(sys.executable, command)  # noqa: S606 (signals then reach TensorBoard itself)
    is_live = is_locked(folder.path)
    make_view(folder, shown, top)
    with subprocess.Popen(command) as board:  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_: board.terminate())
        while board.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):  # TensorBoard was told, too
                try:
                    board.wait(REFRESH_SECONDS)
                except subprocess.TimeoutExpired:
                    is_live = refresh(folder, shown, top, is_live)
    sys.exit(board.returncode)


def refresh(folder: RunFolder, shown: Path, top: int, was_live: bool) -> bool:
    """Bring a view up to date where its run is searched, or was so the last time.

    Returns:
        Whether it is searched now; after an error, which may pass, whether it was.
    """
    try:
        is_live = is_locked(folder.path)
        if is_live or was_live:
            make_view(folder, shown, top)
    except (InputError, OSError):
        return was_live
    return is_live


def make_view(folder: RunFolder, shown: Path, top: int) -> None:
    """Make a view of a run's best trials, or bring it up to date."""
    _, experiment, trials = open_run(folder.path)
    best_view(folder.tensorboard, shown_trials(experiment, trials, top), shown)
