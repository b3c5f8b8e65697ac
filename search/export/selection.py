"""Which training of a run is taken home: the confirmed winner's, or the best trial's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from analysis.record.folder import RunFolder
from analysis.record.reruns import Reruns
from analysis.record.surroundings import Surroundings
from analysis.record.trials import Reported, Trial, Trials
from analysis.verdict.confirmation import Confirmation, ConfirmedRun, open_confirmed
from search.export.weights import Kept, weights_of
from search.provenance import trained_in
from spaces.experiment import Experiment
from spaces.parameters import plain_scalar
from spaces.problems import InputError, shown
from spaces.sections import parse_section, problems_of
from spaces.training_config import AnyConfig, TrainConfig, resolve
from trainables.data.input_spec import InputSpec
from trainables.data.splits import input_spec


class Trained(NamedTuple):
    """A training whose weights are there, and the report of just these.

    ``kept``: its weights, and what stands beside them in the checkpoint. ``worlds``: what it
    depended on, in the order of the changes while it was trained.
    """

    trial: Trial
    report: Reported
    config: AnyConfig
    inputs: InputSpec | None
    kept: Kept
    worlds: list[Surroundings]


class Selected(NamedTuple):
    """What is taken home of a run.

    ``confirmation``: as far as it says something of this training; ``is_measured``: the training is
    one of those that measured the winner.
    """

    run: ConfirmedRun
    trained: Trained
    confirmation: Confirmation | None
    is_measured: bool


def select(run: Path, number: int | None = None, anyway: bool = False) -> Selected:
    """Choose the confirmed winner of a run, or the best trial where none was confirmed.

    Args:
        run: the run's folder.
        number: the trial to take instead, with the weights that it ended with itself.
        anyway: even if the winner measured worse than the baseline.

    Raises:
        InputError: when the run has no trial with a value, its checkpoint is gone, or the winner
            measured worse than the baseline.
    """
    opened = open_confirmed(run)
    folder, experiment, trials, reruns, confirmation = opened
    if number is None and confirmation is not None and confirmation.is_worse and not anyway:
        raise InputError(
            f"the winner measured worse than the baseline, which needs no search "
            f"({confirmation.sentence}); it is exported with --anyway"
        )
    measured = _measured(confirmation, reruns) if number is None else []
    if number is not None and not _has_won(confirmation, number):
        confirmation = None  # it says nothing of this one
    best = trials.best(experiment.metric) if number is None else _asked(trials, number)
    if best is not None and best.value(experiment.metric) is None:
        told = f"it is {best.state}, with {best.epoch} epochs"
        raise InputError(f"trial {number} has no value to export: {told}", "--trial")
    trained = measured or ([] if best is None else [best])
    if not trained:
        raise InputError(f"{run} has no trial with a value of {experiment.metric.name} yet")
    place = folder.of_reruns if measured else folder
    first = _first_kept(experiment, place, trained, reruns.trials if measured else trials)
    return Selected(opened, first, confirmation, bool(measured))


def _asked(trials: Trials, number: int) -> Trial:
    """The trial that somebody asks for.

    Raises:
        InputError: when there is none of that number.
    """
    number = plain_scalar(number)
    if type(number) is not int or number not in trials.by_number:
        there = f"its trials are 0 to {len(trials) - 1}" if len(trials) else "it has none yet"
        raise InputError(f"the run has no trial {shown(number)}; {there}", "--trial")
    return trials.by_number[number]


def _has_won(confirmation: Confirmation | None, number: int) -> bool:
    winner = None if confirmation is None else confirmation.winner
    return winner is not None and winner.trial == number


def _measured(confirmation: Confirmation | None, reruns: Reruns) -> list[Trial]:
    """The trainings that measured the winner and came to their ends."""
    if confirmation is None or confirmation.winner is None:
        return []
    ended = reruns.of(confirmation.winner.trial, "measure")
    return [rerun for rerun in ended if rerun.state == "completed"]


def _first_kept(
    experiment: Experiment,
    folder: RunFolder,
    trained: Sequence[Trial],
    among: Trials,
) -> Trained:
    """The first whose checkpoint is there; ``among``: all trials, or reruns, of which they are.

    Raises:
        InputError: when none's is.
    """
    for trial in trained:
        report = trial.scored(experiment.metric)
        assert report is not None
        config = _config_of(experiment, trial).model_copy(update={"epochs": report.epoch})
        worlds = trained_in(among, trial, report.epoch)
        inputs = inputs_of(config, worlds[-1].inputs)
        try:
            kept = weights_of(folder, experiment, trial, config, report.epoch, inputs)
        except InputError:
            if trial is trained[-1]:
                raise
        else:
            return Trained(trial, report, config, inputs, kept, worlds)
    raise AssertionError


def inputs_of(config: AnyConfig, recorded: dict[str, Any] | None = None) -> InputSpec | None:
    """What a built-in model takes and gives; runs of earlier versions have not recorded it."""
    if not isinstance(config, TrainConfig):
        return None
    if recorded is None:
        return input_spec(config.dataset, config.split_seed)
    return parse_section(InputSpec, recorded, ("experiment", "inputs"))


def _config_of(experiment: Experiment, trial: Trial) -> AnyConfig:
    """What a trial trained; a journal that somebody edited may hold what nothing can train."""
    space = experiment.search_space
    if space.parameters:
        space.check(trial.number, trial.params, trial.settings)
    try:
        return resolve(experiment, trial.params, trial.seed, trial.settings)
    except ValidationError as error:
        raise InputError(problems_of(error), source=f"trial {trial.number}") from None
    except ValueError as error:
        raise InputError(str(error), source=f"trial {trial.number}") from None
