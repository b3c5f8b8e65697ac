"""The run in TensorBoard: scalars of every trial, and the HPARAMS tab from its first moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from tensorboard.compat.proto.event_pb2 import Event as RecordedEvent
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from analysis.events import Created, Event, Finished, Report, Started
from analysis.run import Trials
from spaces.experiment import Experiment
from spaces.parameters import Scalar

FLUSH_SECONDS = 2


class TensorBoardFiles:
    """Writes a run per trial, ``tensorboard/<trial>``, while the search goes on.

    By epoch: every metric. By step, as ``steps/train_loss``: the mean training loss of the last 50
    steps. HPARAMS: each trial from its start; TensorBoard knows only success and failure, and shows
    the first status that it reads, so a running trial has none (shown as unknown) and an ended one
    one; the text ``state`` says more.

    Args:
        folder: where the runs lie; it is written afresh.
        experiment: gives space and metric.
    """

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder = folder
        self._experiment = experiment
        self._writers: dict[int, EventFileWriter] = {}

    def write(self, event: Event, trials: Trials) -> None:
        """Take one event in."""
        match event:
            case Started():
                writer = self._open(self._folder)
                _add(writer, event.time, _experiment_summary(self._experiment, event.time))
                writer.close()
            case Created():
                writer = self._open(self._folder / str(event.trial))
                self._writers[event.trial] = writer
                shown = {name: _shown(value) for name, value in event.params.items()}
                start = summary_v2.hparams_pb(
                    shown, trial_id=str(event.trial), start_time_secs=event.time
                )
                _add(writer, event.time, start)
            case Report():
                self._write_report(event)
            case Finished():
                writer = self._writers.pop(event.trial)
                _add(writer, event.time, text_pb("state", event.state))
                _add(writer, event.time, _end_summary(event))
                writer.close()

    def _write_report(self, event: Report) -> None:
        writer = self._writers[event.trial]
        scalars = [Summary.Value(tag=tag, simple_value=v) for tag, v in event.metrics.items()]
        _add(writer, event.time, Summary(value=scalars), event.epoch)
        for step, loss in event.steps:
            value = Summary.Value(tag="steps/train_loss", simple_value=loss)
            _add(writer, event.time, Summary(value=[value]), step)

    def _open(self, folder: Path) -> EventFileWriter:
        return EventFileWriter(str(folder), flush_secs=FLUSH_SECONDS)

    def close(self) -> None:
        """Write out what is buffered; trials that still run keep their files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _add(writer: EventFileWriter, seconds: float, summary: Summary, step: int = 0) -> None:
    writer.add_event(RecordedEvent(wall_time=seconds, step=step, summary=summary))


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
        return summary_v2.Discrete(
            sorted({_shown(choice) for choice in distribution.choices}, key=str)
        )
    if isinstance(distribution, IntDistribution):
        return summary_v2.IntInterval(distribution.low, distribution.high)
    return summary_v2.RealInterval(float(distribution.low), float(distribution.high))  # type: ignore[attr-defined]


def _shown(value: Scalar) -> str | bool | int | float:
    return "null" if value is None else value


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

    TensorBoard gets slow past a few hundred runs.

    Args:
        folder: the run's ``tensorboard`` folder.
        trials: the numbers to show.
        view: the folder to make; what it held is removed.
    """
    shutil.rmtree(view, ignore_errors=True)
    view.mkdir(parents=True)
    for run in ("", *map(str, trials)):
        (view / run).mkdir(exist_ok=True)
        for file in (folder / run).glob("events.*"):
            (view / run / file.name).symlink_to(file.resolve())
