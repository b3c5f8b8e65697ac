"""The run in TensorBoard: scalars of every trial, and the HPARAMS tab from its first moment."""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from tensorboard.compat.proto.event_pb2 import Event as RecordedEvent
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text.summary_v2 import text_pb

from analysis.record.events import (
    Created,
    Event,
    Finished,
    Report,
    Rerun,
    Started,
    State,
    Training,
)
from analysis.record.folder import RunFolder
from analysis.record.logged import Logged, read_logged
from analysis.record.trials import Trials
from analysis.views.tensorboard_records import frame
from spaces.experiment import Experiment
from spaces.links import unlinked

_PNG_SIZE = slice(16, 24)  # where a PNG file says its width and height


class TensorBoardFiles:
    """Writes a run per trial, ``tensorboard/<trial>``, as the search goes on; reruns beside them.

    By epoch: every metric. By step, as ``steps/train_loss``: the mean training loss of the last 50
    steps. HPARAMS: each trial from its start; TensorBoard knows only success and failure, and shows
    the first status that it reads, so a running trial has none (shown as unknown) and an ended one
    one; the text ``state`` says more. The trainings that confirm a configuration are one group.

    Args:
        folder: where the runs lie; it is written afresh.
        experiment: gives space and metric.
        run: has the images and texts that own code logged; left out: there are none.
    """

    def __init__(self, folder: Path, experiment: Experiment, run: RunFolder | None = None) -> None:
        shutil.rmtree(unlinked(folder, folder.parent), ignore_errors=True)
        self._folder = folder
        self._experiment = experiment
        self._run = run if experiment.trainable is not None else None  # built-in models log nothing
        self._writers: dict[str, _EventFile] = {}
        distributions = experiment.search_space.distributions.items()
        self._shown = {name: _shown_as(distribution) for name, distribution in distributions}

    def write(self, event: Event, trials: Trials) -> None:
        """Take one event in."""
        match event:
            case Started():
                writer = self._opened("")
                writer.add(event.time, _experiment_summary(self._experiment, event.time))
                writer.close()
            case Rerun():
                confirms = event.purpose != "audit"
                group = f"{event.trial}-{'confirmed' if confirms else event.purpose}"
                run = f"reruns/trial{event.trial}-{event.purpose}-{event.index}"
                folder = None if self._run is None else self._run.of_reruns
                self._write_training(event.what, run, group, folder)
            case Created() | Report() | Finished():
                name = str(event.trial)
                self._write_training(event, run=name, group=name, folder=self._run)

    def _write_training(
        self, event: Training, run: str, group: str, folder: RunFolder | None
    ) -> None:
        """Write on a run; in the HPARAMS tab it is a session of its group."""
        match event:
            case Created():
                writer = self._writers[run] = self._opened(run)
                shown = {n: self._shown.get(n, _plain)(value) for n, value in event.params.items()}
                start = summary_v2.hparams_pb(shown, trial_id=group, start_time_secs=event.time)
                writer.add(event.time, start)
                if event.settings:
                    writer.add(event.time, text_pb("settings", json.dumps(event.settings)))
                writer.flush()
            case Report():
                _write_report(self._writers[run], event, _logged(folder, event))
                if event.decision == "pause":
                    self._writers[run].close()  # until more is written: thousands may wait
            case Finished():
                writer = self._writers.pop(run)
                writer.add(event.time, _state_text(event.state))
                writer.add(event.time, _end_summary(event))
                writer.close()

    def _opened(self, run: str) -> _EventFile:
        return _EventFile(unlinked(self._folder / run, self._folder))

    def close(self) -> None:
        """Write out what is buffered; trials that still run keep their files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _logged(folder: RunFolder | None, event: Report) -> list[Logged]:
    """The images and texts that belong to a report."""
    if folder is None:
        return []
    return read_logged(folder.path, folder.logged_by(event.trial), event.epoch)


def _write_report(writer: _EventFile, event: Report, logged: Sequence[Logged]) -> None:
    scalars = [Summary.Value(tag=tag, simple_value=v) for tag, v in event.metrics.items()]
    writer.add(event.time, Summary(value=scalars), event.epoch)
    for held in logged:
        writer.add(event.time, _logged_summary(held), event.epoch)
    record = RecordedEvent(wall_time=event.time)  # filled anew for each step, that is faster
    value = record.summary.value.add(tag="steps/train_loss")
    for record.step, value.simple_value in event.steps:
        writer.add_record(record)
    writer.flush()


def _logged_summary(held: Logged) -> Any:
    if held.kind == "text":
        return text_pb(held.name, held.content.decode(errors="replace"))
    width, height = struct.unpack(">II", held.content[_PNG_SIZE].ljust(8, b"\0"))
    image = Summary.Image(width=width, height=height, encoded_image_string=held.content)
    return Summary(value=[Summary.Value(tag=held.name, image=image)])


class _EventFile:
    """One event file of a run.

    TensorBoard's own writer has a thread and a queue of its own for each file, which costs more
    than the writing.

    Args:
        folder: the run's; made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{platform.node()}.{os.getpid()}"
        self._path = folder / name
        self._stream = self._path.open("xb")
        self._unwritten: list[bytes] = []
        self.add_record(RecordedEvent(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, seconds: float, summary: Summary, step: int = 0) -> None:
        """Append a summary with its time and step."""
        self.add_record(RecordedEvent(wall_time=seconds, step=step, summary=summary))

    def add_record(self, record: RecordedEvent) -> None:
        """Append a record, as it is now."""
        self._unwritten.append(record.SerializeToString())

    def flush(self) -> None:
        """Let TensorBoard see what was added."""
        if self._stream.closed and self._unwritten:
            self._stream = self._path.open("ab")
        if self._unwritten:
            self._stream.write(frame(self._unwritten))
            self._unwritten.clear()
            self._stream.flush()

    def close(self) -> None:
        """Write out what was added; what is added later opens the file again."""
        self.flush()
        self._stream.close()


def _experiment_summary(experiment: Experiment, created: float) -> Any:
    """What the HPARAMS tab needs to know of the whole run: parameters, domains, metrics."""
    distributions = experiment.search_space.distributions.items()
    hparams = [
        summary_v2.HParam(name, _domain(distribution)) for name, distribution in distributions
    ]
    names = dict.fromkeys([experiment.metric.name, "val_loss", "train_loss"])
    metrics = [summary_v2.Metric(name) for name in names]
    return summary_v2.hparams_config_pb(hparams, metrics, time_created_secs=created)


def _domain(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        shown = _shown_as(distribution)
        return summary_v2.Discrete(sorted({shown(choice) for choice in distribution.choices}))
    if isinstance(distribution, IntDistribution):
        return summary_v2.IntInterval(distribution.low, distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return summary_v2.RealInterval(float(distribution.low), float(distribution.high))


def _shown_as(distribution: BaseDistribution) -> Callable[[Any], Any]:
    """How values are shown: TensorBoard wants choices of one type (0 and 0.5 become floats)."""
    if not isinstance(distribution, CategoricalDistribution):
        return _as_it_is
    kinds = {type(choice) for choice in distribution.choices}
    if len(kinds) == 1 and kinds != {type(None)}:
        return _as_it_is
    return float if kinds <= {int, float} else str


def _as_it_is(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    """Of a parameter that a function had not drawn when it was asked for all of them."""
    return "None" if value is None else value


@functools.cache
def _state_text(state: State) -> Any:
    """The text that says how a trial ended; there are few, and TensorBoard makes them slowly."""
    return text_pb("state", state)


def _end_summary(event: Finished) -> Any:
    """The end record of a session: SUCCESS, or FAILURE for diverged and failed."""
    is_failure = event.state in ("diverged", "failed")
    status = api_pb2.STATUS_FAILURE if is_failure else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=event.time)
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    summary = Summary()
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return summary


def best_view(folder: Path, trials: list[int], view: Path) -> None:
    """Make a folder that shows only some trials' runs, by links to their files.

    TensorBoard gets slow past a few hundred runs, and past some dozens shows the curves of none.

    Args:
        folder: the run's ``tensorboard`` folder.
        trials: the numbers to show.
        view: the folder to make, or to bring up to date while TensorBoard reads it.

    Raises:
        InputError: when the view, or a folder in it, is a link.
    """
    unlinked(view, view.parent).mkdir(parents=True, exist_ok=True)
    shown = {str(number) for number in trials}
    for held in list(view.iterdir()):
        if held.is_dir() and held.name not in shown:
            shutil.rmtree(unlinked(held, view), ignore_errors=True)
    for run in ("", *shown):
        _link_files(folder / run, unlinked(view / run, view))


def _link_files(folder: Path, view: Path) -> None:
    """Let a folder hold links to the event files of another, and nothing else of that kind."""
    view.mkdir(exist_ok=True)
    files = {file.name: file.resolve() for file in folder.glob("events.*")}
    for link in list(view.glob("events.*")):
        if link.name not in files or not link.is_symlink() or link.readlink() != files[link.name]:
            link.unlink()
    for name, file in files.items():
        if not (view / name).is_symlink():
            (view / name).symlink_to(file)
