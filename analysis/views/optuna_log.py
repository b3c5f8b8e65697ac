"""``optuna.log``: the run as an Optuna journal storage, which optuna-dashboard opens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from analysis.record.events import Created, Event, Finished, Report
from analysis.record.trials import Trial, Trials
from spaces.experiment import Experiment
from spaces.links import unlinked

_encode = json.JSONEncoder(separators=(",", ":")).encode
_STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_ENDED = optuna.trial.create_trial(state=TrialState.FAIL)


class OptunaLog:
    """Writes every event on into an Optuna study of the experiment's name.

    completed is COMPLETE; stopped is PRUNED with its last value; diverged is PRUNED with the worst
    finite value of the run so far; failed is FAIL. The user attribute ``state`` says which.

    Args:
        path: the file, which is written afresh.
        experiment: gives space, name and direction.
    """

    def __init__(self, path: Path, experiment: Experiment) -> None:
        self._file = _OneWriterFile(path)
        self._space = experiment.search_space
        self._metric = experiment.metric
        self._storage = JournalStorage(self._file)
        minimize = self._metric.is_minimized
        direction = StudyDirection.MINIMIZE if minimize else StudyDirection.MAXIMIZE
        self._study_id = self._storage.create_new_study([direction], experiment.name)
        self._ids: dict[int, int] = {}

    def write(self, event: Event, trials: Trials) -> None:
        """Take one event in."""
        self._file.seconds = event.time
        match event:
            case Created():
                trial = self._running_trial(event)
                self._ids[event.trial] = self._storage.create_new_trial(self._study_id, trial)
            case Report():
                value = event.metrics[self._metric.name]
                if math.isfinite(value):
                    self._storage.set_trial_intermediate_value(
                        self._ids[event.trial], event.epoch, value
                    )
            case Finished():
                self._finish(trials.by_number[event.trial], trials.worst(self._metric))

    def _running_trial(self, event: Created) -> FrozenTrial:
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=event.params,
            distributions=event.distributions or self._space.distributions_of(event.params),
            user_attrs={"seed": event.seed, **_settings_of(event)},
        )
        trial.datetime_start = datetime.fromtimestamp(event.time)
        return trial

    def _finish(self, trial: Trial, worst: float) -> None:
        trial_id = self._ids[trial.number]
        self._storage.set_trial_user_attr(trial_id, "state", trial.state)
        value = trial.value(self._metric)
        if trial.state == "diverged":
            value = worst
            self._storage.set_trial_intermediate_value(trial_id, max(trial.epoch, 1), worst)
        values = None if value is None else [value]
        self._storage.set_trial_state_values(trial_id, _STATES[trial.state], values)
        # Optuna keeps what it has written; of trials that have ended, nothing is asked any more
        self._storage._replay_result._trials[self._ids.pop(trial.number)] = _ENDED

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _settings_of(event: Created) -> dict[str, Any]:
    return {"settings": event.settings} if event.settings else {}


class _OneWriterFile(BaseJournalBackend):
    """Optuna's journal file format, written by one process that can write it again at any time.

    Optuna's own file backend takes a lock file and an fsync for every operation, which is most of
    its cost; with one writer neither is needed.

    Args:
        path: the file, which is written afresh.
    """

    def __init__(self, path: Path) -> None:
        self.seconds = 0.0  # the time of what is written now; Optuna would stamp its own
        self._stream = unlinked(path, path.parent).open("wb", buffering=0)
        self._unread: list[dict[str, Any]] = []
        self._read_count = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The logs that were appended since the last call, all of which are our own."""
        assert log_number_from == self._read_count
        unread, self._unread = self._unread, []
        self._read_count += len(unread)
        return unread

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write logs, one JSON object a line."""
        for log in logs:
            if "datetime_complete" in log:
                log["datetime_complete"] = datetime.fromtimestamp(self.seconds, UTC).isoformat()
        lines = [_encode(log) + "\n" for log in logs]
        self._stream.write("".join(lines).encode())
        self._unread.extend(logs)  # reading back what was just encoded would give the same

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
