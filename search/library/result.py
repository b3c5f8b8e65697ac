"""``SearchResult``: a run, with what it found and what can be done with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from analysis.display.tables import show_params, show_value
from analysis.record.folder import RunFolder, best_of, open_run, status_of
from analysis.record.lock import is_locked
from analysis.record.trials import Trials
from search.library.host import at_work, library_host
from search.library.words import pythons_words
from spaces.experiment import Confirm, Engine, Experiment
from spaces.given import Function
from spaces.parameters import Params, plain_scalar
from spaces.problems import InputError
from spaces.sections import parse_section
from spaces.training_config import TrainConfig

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from analysis.verdict.confirmation import Confirmation


@dataclass(frozen=True)
class BestTrial:
    """The trial whose value is the best.

    ``value``: of ``metric``, at ``epoch``. ``seed``: that it was trained with. ``state``: running,
    completed or stopped. ``settings``: what a space that is a function returned with the params.
    """

    trial: int
    params: Params
    seed: int
    metric: str
    value: float
    epoch: int
    state: str
    settings: dict[str, Any] = field(default_factory=dict)


class SearchResult:
    """A run on disk: what it found, and what can be done with that.

    It is read when it is first asked for something, as the run was then; ``load`` reads it again.

    Args:
        folder: the run.
        functions: that were handed over, by what stands for them.
        show: whether progress is shown.
    """

    def __init__(
        self,
        folder: RunFolder,
        functions: Mapping[str, Function] = MappingProxyType({}),
        show: bool = True,
    ) -> None:
        self._folder = folder
        self._functions = functions
        self._show = show

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @cached_property
    def _run(self) -> tuple[Experiment, Trials]:
        _, experiment, trials = open_run(self.path)
        return experiment, trials

    @property
    def experiment(self) -> Experiment:
        """What was searched."""
        return self._run[0]

    @property
    def state(self) -> str:
        """``finished``, ``interrupted``, or ``running`` while a process searches."""
        found = status_of(self._folder, *self._run, live=is_locked(self.path))
        return str(found["state"])

    @property
    def best(self) -> BestTrial | None:
        """The trial with the best value; None while none has any."""
        experiment, trials = self._run
        found = best_of(trials, experiment.metric, 1)
        return BestTrial(**found[0]) if found else None

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: number, state, epoch, value, seed, ``params.…``, ``metrics.…`` and more.

        The metrics are those of its last epoch; the columns are those of ``shoal table``.
        """
        return self._frame(by_epoch=False)

    @property
    def curves(self) -> pd.DataFrame:
        """A row for every report, likewise."""
        return self._frame(by_epoch=True)

    def _frame(self, by_epoch: bool) -> pd.DataFrame:
        from analysis.views.table import trial_table

        experiment, trials = self._run
        return trial_table(trials, experiment.metric, by_epoch).to_pandas()

    @pythons_words()
    def confirm(
        self,
        top: int | None = None,
        seeds: int | None = None,
        epochs: int | None = None,
        prefer_small: bool | None = None,
        engine: Engine | None = None,
        address: str | None = None,
    ) -> Confirmation | None:
        """Train the best again under fresh seeds, and measure the winner; as ``shoal confirm``.

        Args:
            top: so many of the best, and the baseline; left out: as the experiment says, or 5.
            seeds: up to so many trainings of each to choose by, and as many to measure; or 5.
            epochs: what it may cost.
            prefer_small: prefer fewer parameters within one standard error.
            engine: instead of the experiment's.
            address: of a Ray cluster.

        Returns:
            What was found (``.sentence``, ``.winner``, ``.baseline``, ``.plain()``); None when it
            was interrupted.

        Raises:
            InputError: when there is nothing to confirm, or it can cost more than it may.
        """
        from search.rerun.confirm import confirm_run

        told = {"top": top, "seeds": seeds, "epochs": epochs, "prefer_small": prefer_small}
        changes = {name: plain_scalar(value) for name, value in told.items() if value is not None}
        base = self.experiment.confirm or Confirm()
        settings = parse_section(Confirm, base.model_dump() | changes)
        host = library_host(engine, address, self._show)
        with at_work(self._functions):
            return confirm_run(self._folder, settings, host)

    @pythons_words()
    def report(self, file: str | Path | None = None) -> Path:
        """Write the report as one HTML page; returns the file.

        Args:
            file: left out, ``report.html`` in the run's folder.
        """
        from analysis.report.build import write_report
        from search.export.report import report_of

        path = self._folder.report_file() if file is None else Path(file)
        with at_work({}):
            write_report(report_of(self.path), path)
        return path

    @pythons_words()
    def export(self, folder: str | Path, trial: int | None = None, anyway: bool = False) -> Path:
        """Write the confirmed winner, or the best trial, as a bundle; as ``shoal export``.

        Args:
            folder: a new or empty one.
            trial: the one to take instead.
            anyway: even if the winner measured worse than the baseline.

        Returns:
            The bundle's folder. ``shoal train`` retrains it.

        Raises:
            InputError: when there is nothing to export.
        """
        from search.export.bundle import export_best

        note = library_host(None, None, self._show).view.note
        with at_work(self._functions):
            export_best(self.path, Path(folder), number=trial, anyway=anyway, note=note)
        return Path(folder)

    @pythons_words()
    def load_model(self, trial: int | None = None) -> nn.Module:
        """The built-in model of the confirmed winner, or of the best trial, with its weights.

        It is in evaluation mode on the CPU. Its inputs are values in [0, 1], normalised as the
        bundle's ``inputs.json`` says, or a table's features; for all of that, export a bundle and
        use ``search.export.predictor.load_predictor``.

        Args:
            trial: the one to take instead.

        Raises:
            InputError: when there is none, or the run is of your own code.
        """
        from search.export.selection import select
        from trainables.models.families import empty_model

        if self.experiment.trainable is not None:
            raise InputError("the run is of your own code: load_state has what that saved")
        _, _, config, inputs, kept, _ = select(self.path, trial, anyway=True).trained
        assert isinstance(config, TrainConfig)
        assert inputs is not None
        model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
        model.load_state_dict(dict(kept.weights), assign=True)
        return model.eval()

    @pythons_words()
    def load_state(self, trial: int | None = None) -> Any:
        """What your own code saved in the training of the confirmed winner, or of the best trial.

        It is that of the epoch whose value counts, as ``context.load`` would give it.

        Args:
            trial: the one to take instead.

        Raises:
            InputError: when it saved nothing then, or the run is of built-in models.
        """
        from search.export.selection import select

        if self.experiment.trainable is None:
            raise InputError("the run is of built-in models: load_model gives one")
        trained = select(self.path, trial, anyway=True).trained
        if trained.kept.state is None:
            told = f"trial {trained.trial.number} saved no state at epoch {trained.report.epoch}"
            raise InputError(f"{told}; call context.save before each report")
        return trained.kept.state

    def __repr__(self) -> str:
        counts = {state: count for state, count in self._run[1].counts().items() if count}
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        best = self.best
        lines = [f"SearchResult {self.path}: {self.state}; {told or 'no trials'}"]
        if best is not None:
            lines.append(f"best: trial {best.trial}, {best.metric} {show_value(best.value)}")
            lines.append(f"      {show_params({**best.params, **best.settings})}")
        return "\n".join(lines)
