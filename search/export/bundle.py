"""Exporting the best configuration of a run as a bundle."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from analysis.bundle.bundle import Bundle, check_target
from analysis.bundle.project_files import Taken
from analysis.bundle.writing import write_bundle
from analysis.display.plain import plain
from analysis.display.tables import markdown_text
from analysis.record.folder import RunFolder
from analysis.record.reruns import Reruns
from analysis.record.surroundings import Surroundings
from analysis.record.trials import Reported, Trial, Trials
from analysis.verdict.confirmation import Confirmation, open_confirmed
from search.control.view import Note, ignore_note
from search.export.portable import make_programs
from search.export.weights import Kept, weights_of
from search.provenance import changes_of, compare_here, trained_in
from spaces.experiment import Experiment
from spaces.problems import InputError, printable
from spaces.sections import parse_section, problems_of
from spaces.training_config import AnyConfig, TrainConfig, resolve
from trainables.data.splits import InputSpec, input_spec


def export_best(
    run: Path,
    target: Path,
    with_programs: bool = True,
    strict: bool = False,
    number: int | None = None,
    anyway: bool = False,
    note: Note = ignore_note,
) -> Bundle:
    """Write the confirmed winner of a run as a bundle, or the best trial where none was confirmed.

    The weights are those of the first training that measured the winner: the best of them would be
    the luckiest.

    Args:
        run: the run's folder.
        target: a new or empty folder.
        with_programs: whether a built-in model is exported as ``model.pt2`` (and
            ``model.onnx``, where that extra is installed), too.
        strict: whether it is refused, instead of told, that data, code or versions are not those
            of the training any more.
        number: the trial to take instead, with the weights that it ended with itself.
        anyway: even if the winner measured worse than the baseline.
        note: is given what has changed since, as a line.

    Raises:
        InputError: when the run has no trial with a value, its checkpoint is gone, or the winner
            measured worse than the baseline.
    """
    check_target(target)
    folder, experiment, trials, reruns, confirmation = open_confirmed(run)
    assert trials.start is not None
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
    trial, report, config, inputs, kept, worlds = first
    world = worlds[-1]
    since = compare_here(experiment, trials.start, world, strict, note)
    programs = {}
    if with_programs and isinstance(config, TrainConfig) and inputs is not None:
        programs = make_programs(config, inputs, kept.weights)
    bundle = Bundle(
        config=config.model_dump(mode="json"),
        metrics=metrics_of(experiment.metric.name, report.epoch, report.metrics),
        versions=world.versions,
        origin=_origin(experiment, trials, trial, confirmation, bool(measured), number is not None),
        inputs=None if inputs is None else inputs.model_dump(mode="json"),
        programs=programs,
        split=world.plain_split if all(w.split == world.split for w in worlds) else None,
        params=trial.params,
        baseline=experiment.baseline,
        finding=None if confirmation is None else confirmation.sentence,
        confirmation=confirmation if measured else None,
        code=kept.code,
        parts=kept.parts,
        changes=changes_of(trials.changes, worlds, since),
    )
    tell_left_out(write_bundle(target, bundle, kept.weights))
    return bundle


def tell_left_out(taken: Taken | None) -> None:
    """Warn of what the code used and its bundle does not hold."""
    if taken is None or not taken.left_out:
        return
    held = list(taken.left_out.items())
    (name, reason), rest = held[0], f" and {len(held) - 1} more" if held[1:] else ""
    message = f"the bundle does not hold {printable(name)} ({reason}){rest}, which its code used"
    warnings.warn(f"{message}; its README.md says what to do", stacklevel=2)


def _asked(trials: Trials, number: int) -> Trial:
    """The trial that somebody asks for.

    Raises:
        InputError: when there is none of that number.
    """
    if number not in trials.by_number:
        there = f"its trials are 0 to {len(trials) - 1}" if len(trials) else "it has none yet"
        raise InputError(f"the run has no trial {number}; {there}", "--trial")
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


class _Trained(NamedTuple):
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


def _first_kept(
    experiment: Experiment,
    folder: RunFolder,
    trained: Sequence[Trial],
    among: Trials,
) -> _Trained:
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
            return _Trained(trial, report, config, inputs, kept, worlds)
    raise AssertionError


def _origin(
    experiment: Experiment,
    trials: Trials,
    trial: Trial,
    confirmation: Confirmation | None,
    is_measured: bool,
    is_asked: bool,
) -> str:
    """How it was found, in sentences."""
    counts = ", ".join(f"{count} {state}" for state, count in trials.counts().items() if count)
    scheduler = experiment.scheduler
    search = (
        f"Found by searching `{experiment.name}`: {len(trials)} trials ({counts}), proposed by "
        f"{experiment.sampler.name}, {trials.epochs} epochs in all, up to {scheduler.max_epochs} "
        f"each (scheduler {scheduler.name}, seed {experiment.seed})."
    )
    if confirmation is None or confirmation.winner is None or not is_measured:
        found = f"The best by {markdown_text(experiment.metric.name)} on the validation split"
        found = f"{search} {found}: trial {trial.number}, {trial.state}."
        if is_asked:
            found = f"{search} This is trial {trial.number}, {trial.state}, as it was asked for."
        if confirmation is not None:
            return f"{found} A confirmation came to this: {markdown_text(confirmation.sentence)}."
        if is_asked:
            return f"{found} Its score is that of one training, with one seed."
        return (
            f"{found} It was not confirmed: the best of many trainings, each with one seed, is "
            "partly the luckiest; `shoal confirm` trains it again under fresh seeds."
        )
    winner, note = confirmation.winner, f" ({confirmation.note}.)" if confirmation.note else ""
    return (
        f"{search} The best {len(confirmation.candidates)} configurations were then trained again "
        f"under up to {confirmation.most_seeds} fresh seeds each; that of trial {winner.trial} was "
        f"chosen, and measured under {confirmation.most_seeds} other seeds. The weights are those "
        f"of the first of these that are kept (seed {trial.seed}).{note}"
    )


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
        space.check(trial.number, trial.params)
    try:
        return resolve(experiment, trial.params, trial.seed)
    except ValidationError as error:
        raise InputError(problems_of(error), source=f"trial {trial.number}") from None
    except ValueError as error:
        raise InputError(str(error), source=f"trial {trial.number}") from None


def metrics_of(name: str, epoch: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What a bundle's ``metrics.json`` holds; None for what is not finite."""
    found: dict[str, Any] = plain(
        {"metric": name, "value": metrics[name], "epoch": epoch, "metrics": dict(metrics)}
    )
    return found
