"""Exporting the best configuration of a run as a bundle."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.bundle.bundle import Bundle, check_target
from analysis.bundle.project_files import Taken
from analysis.bundle.writing import write_bundle
from analysis.display.plain import plain
from analysis.display.tables import markdown_text
from search.control.view import Note, ignore_note
from search.export.portable import make_programs
from search.export.selection import Selected, select
from search.provenance import changes_of, compare_here
from spaces.problems import printable
from spaces.training_config import TrainConfig


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
        note: is given what has changed since, and that there are no weights, each as a line.

    Raises:
        InputError: when the run has no trial with a value, its checkpoint is gone, or the winner
            measured worse than the baseline.
    """
    check_target(target)
    chosen = select(run, number, anyway)
    _, experiment, trials, *_ = chosen.run
    trial, report, config, inputs, kept, worlds = chosen.trained
    confirmation, world = chosen.confirmation, worlds[-1]
    assert trials.start is not None
    since = compare_here(experiment, trials.start, world, strict, note)
    programs = {}
    if with_programs and isinstance(config, TrainConfig) and inputs is not None:
        programs = make_programs(config, inputs, kept.weights)
    bundle = Bundle(
        config=config.model_dump(mode="json"),
        metrics=metrics_of(experiment.metric.name, report.epoch, report.metrics),
        versions=world.versions,
        origin=_origin(chosen, is_asked=number is not None),
        inputs=None if inputs is None else inputs.plain,
        programs=programs,
        split=world.plain_split if all(w.split == world.split for w in worlds) else None,
        params=trial.configuration,
        baseline=None if experiment.baseline is None else trials.by_number[0].configuration,
        finding=None if confirmation is None else confirmation.sentence,
        confirmation=confirmation if chosen.is_measured else None,
        code=kept.code,
        parts=kept.parts,
        changes=changes_of(trials.changes, worlds, since),
    )
    tell_left_out(write_bundle(target, bundle, kept.weights))
    if not bundle.has_weights:
        note(f"note: {bundle.why_no_weights}, so the bundle has no weights")
    return bundle


def tell_left_out(taken: Taken | None) -> None:
    """Warn of what the code used and its bundle does not hold."""
    if taken is None or not taken.left_out:
        return
    held = list(taken.left_out.items())
    (name, reason), rest = held[0], f" and {len(held) - 1} more" if held[1:] else ""
    message = f"the bundle does not hold {printable(name)} ({reason}){rest}, which its code used"
    warnings.warn(f"{message}; its README.md says what to do", stacklevel=2)


def _origin(chosen: Selected, is_asked: bool) -> str:
    """How it was found, in sentences."""
    _, experiment, trials, *_ = chosen.run
    trial, confirmation = chosen.trained.trial, chosen.confirmation
    counts = ", ".join(f"{count} {state}" for state, count in trials.counts().items() if count)
    scheduler = experiment.scheduler
    search = (
        f"Found by searching `{experiment.name}`: {len(trials)} trials ({counts}), proposed by "
        f"{experiment.sampler.name}, {trials.epochs} epochs in all, up to {scheduler.max_epochs} "
        f"each (scheduler {scheduler.name}, seed {experiment.seed})."
    )
    if confirmation is None or confirmation.winner is None or not chosen.is_measured:
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
    what = "weights" if chosen.trained.kept.weights else "scores"
    return (
        f"{search} The best {len(confirmation.candidates)} configurations were then trained again "
        f"under up to {confirmation.most_seeds} fresh seeds each; that of trial {winner.trial} was "
        f"chosen, and measured under {confirmation.most_seeds} other seeds. The {what} are those "
        f"of the first of these that are kept (seed {trial.seed}).{note}"
    )


def metrics_of(name: str, epoch: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What a bundle's ``metrics.json`` holds; None for what is not finite."""
    found: dict[str, Any] = plain(
        {"metric": name, "value": metrics[name], "epoch": epoch, "metrics": dict(metrics)}
    )
    return found
