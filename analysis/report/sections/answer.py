"""The answer: what won, by how much, and how sure that is."""

from __future__ import annotations

import shlex
from typing import Any

from analysis.display.numbers import SHORT, number, numbers
from analysis.record.surroundings import HOST
from analysis.record.trials import Trial
from analysis.report.section import Cell, Code, Material, Part, Section, Table, Text
from analysis.verdict.confirmation import Confirmation
from analysis.verdict.rendering import READING_COLUMNS, rendering_of
from spaces.metric import Metric
from spaces.problems import printable


def answer_section(material: Material) -> Section:
    """The winner, its score and its gain over the baseline: confirmed, or else as searched."""
    question = material.experiment.question
    parts: list[Part] = [] if question is None else [Text(question)]
    if material.confirmation is not None:
        parts += _confirmed(material.confirmation)
    else:
        parts += _searched(material)
    parts += _changed(material)
    parts += _how_it_stands(material)
    winner = _winner(material)
    if winner is not None:
        parts.append(_configuration(winner, material))
    return Section("Answer", "answer", parts, _data(material))


def _changed(material: Material) -> list[Part]:
    """That what the run depends on has changed while it went on."""
    held = (d for change in material.trials.changes for d in change.differences if d.what != HOST)
    names = dict.fromkeys(difference.what for difference in held)
    if not names:
        return []
    what = f"Changed while the run went on: {printable(', '.join(names))}. Trainings from before "
    return [Text(f"{what}and after may differ for that alone; the figures are under Versions.")]


def _how_it_stands(material: Material) -> list[Part]:
    ended = material.trials.ended
    if material.is_live:
        return [Text("The run is being written now; this is what is there so far.", "note")]
    if ended is None or ended.reason in ("interrupted", "error"):
        return [
            Text("The search was interrupted. It goes on with:", "note"),
            _command("resume", material),
        ]
    return []


def _searched(material: Material) -> list[Part]:
    best, baseline, metric = material.best, material.baseline, material.metric
    if best is None:
        return [Text(f"No trial has a value of {metric.name}.", "lead")]
    value = best.value(metric)
    assert value is not None
    verb = "leads so far" if material.is_live else "is the best found"
    before = None if baseline is None else baseline.value(metric)
    score, *others = numbers([value] if before is None else [value, before])
    sentence = f"Trial {best.number} {verb}: {metric.name} {score} ({metric.better_values})"
    if best is baseline:
        sentence += ". It is the baseline: nothing better was found"
    elif before is not None:
        more = "more" if value > before else "less"
        by = number(abs(value - before), SHORT)
        sentence += f", {by} {more} than the baseline's {others[0]}"
    missing = (
        "Searched, not yet confirmed: one reading each, the highest of many, which is partly luck. "
        "Fresh seeds give it an interval, and the test split is read then:"
    )
    if metric.is_minimized:
        missing = missing.replace("highest", "lowest")
    return [Text(f"{sentence}.", "lead"), Text(missing), _command("confirm", material)]


def _command(name: str, material: Material) -> Code:
    return Code(shlex.join(["shoal", name, str(material.run.path)]), "bash")


def _confirmed(found: Confirmation) -> list[Part]:
    """What fresh seeds say: the sentence, the figures of each configuration, the test split."""
    shown = rendering_of(found)
    table = Table(shown.columns, [*shown.measured, *shown.candidates], shown.explanation)
    parts: list[Part] = [Text(f"{shown.sentence}.", "lead"), table]
    parts += [Text(note, "note") for note in shown.notes]
    parts += [Text(gain) for gain in shown.gains]
    return [*parts, *([Table(READING_COLUMNS, shown.readings)] if shown.readings else [])]


def _winner(material: Material) -> Trial | None:
    """The confirmed winner, or where that is not known the best that was searched."""
    found = material.confirmation
    if found is None or found.winner is None:
        return material.best
    return material.trials.by_number[found.winner.trial]


def _configuration(best: Trial, material: Material) -> Part:
    found, baseline = best.configuration, material.baseline
    names = list(found)
    if not names and (baseline is None or not baseline.params):
        return Text("The space is empty: all trials have the same configuration.")
    is_confirmed = material.confirmation is not None and material.confirmation.winner is not None
    what = "confirmed" if is_confirmed else "searched best"
    columns = ["parameter", f"{what} (trial {best.number})"]
    if baseline is None or baseline is best:
        return Table(columns, [[name, found[name]] for name in names])
    beside = baseline.configuration
    names += [name for name in beside if name not in found]
    rows: list[list[Cell]] = [[name, found.get(name, ""), beside.get(name, "")] for name in names]
    return Table([*columns, "baseline (trial 0)"], rows)


def _data(material: Material) -> dict[str, Any]:
    return {
        "confirmed": None if material.confirmation is None else material.confirmation.plain(),
        "best": trial_data(material.best, material.metric),
        "baseline": trial_data(material.baseline, material.metric),
    }


def trial_data(trial: Trial | None, metric: Metric) -> dict[str, Any] | None:
    """A trial as the JSON document holds it."""
    if trial is None:
        return None
    return {
        "trial": trial.number,
        "state": trial.state,
        "epoch": trial.epoch,
        "value": trial.value(metric),
        "params": trial.params,
        **({"settings": trial.settings} if trial.settings else {}),
        "seed": trial.seed,
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "reason": trial.reason,
    }
