"""The answer: what won, by how much, and how sure that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.report.section import Cell, Code, Material, Part, Section, Table, Text
from analysis.tables import show_value
from analysis.trials import Trial
from spaces.experiment import Metric


def answer_section(material: Material) -> Section:
    """The winner, its score and its gain over the baseline: confirmed, or else as searched."""
    question = material.experiment.question
    parts: list[Part] = [] if question is None else [Text(question)]
    if material.confirmation is not None:
        parts += _confirmed(material.confirmation)
    else:
        parts += _searched(material)
    parts += _how_it_stands(material)
    winner = _winner(material)
    if winner is not None:
        parts.append(_configuration(winner, material))
    return Section("Answer", "answer", parts, _data(material))


def _how_it_stands(material: Material) -> list[Part]:
    ended = material.trials.ended
    if material.is_live:
        return [Text("The search is running; this is what is there so far.", "note")]
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
    sentence = f"Trial {best.number} {verb}: {metric.name} {_exact(value)}"
    before = None if baseline is None else baseline.value(metric)
    if best is baseline:
        sentence += ". It is the baseline: nothing better was found"
    elif before is not None:
        more = "more" if value > before else "less"
        sentence += f", {_exact(abs(value - before))} {more} than the baseline's {_exact(before)}"
    missing = (
        "Searched, not yet confirmed: one reading each, the highest of many, which is partly luck. "
        "Fresh seeds give it an interval, and the test split is read then:"
    )
    if metric.mode == "min":
        missing = missing.replace("highest", "lowest")
    return [Text(f"{sentence}.", "lead"), Text(missing), _command("confirm", material)]


def _command(name: str, material: Material) -> Code:
    return Code(shlex.join(["shoal", name, str(material.run.path)]), "bash")


def _confirmed(confirmation: Mapping[str, Any]) -> list[Part]:
    """What fresh seeds say.

    Args:
        confirmation: ``sentence``; ``candidates`` and ``tests``, rows of plain values by column;
            ``gain``, a number or figures by name; ``winner``, a trial's number. Any but the
            sentence may be left out.
    """
    parts: list[Part] = [Text(str(confirmation["sentence"]), "lead")]
    gain = confirmation.get("gain")
    if isinstance(gain, Mapping):
        parts.append(_rows_table([gain], "Gain over the baseline"))
    elif gain is not None:
        parts.append(Text(f"Gain over the baseline: {_plain(gain)}."))
    for name, caption in (
        ("candidates", "Confirmed with fresh seeds; optimism: how much more the search had seen"),
        ("tests", "Readings of the test split"),
    ):
        if confirmation.get(name):
            parts.append(_rows_table(confirmation[name], caption))
    return parts


def _rows_table(rows: Sequence[Mapping[str, Any]], caption: str) -> Table:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, [[_plain(row.get(name)) for name in columns] for row in rows], caption)


def _plain(value: Any) -> Cell:
    """A cell: an interval as ``low … high``, a mapping as ``name=value``."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_plain(held)}" for name, held in value.items())
    if isinstance(value, list | tuple):
        return " … ".join(str(_plain(held)) for held in value)
    return show_value(value) if isinstance(value, float) else value


def _winner(material: Material) -> Trial | None:
    """The confirmed winner, or where that is not known the best that was searched."""
    number = (material.confirmation or {}).get("winner")
    return material.best if number is None else material.trials.by_number[number]


def _configuration(best: Trial, material: Material) -> Table:
    names, baseline = list(best.params), material.baseline
    what = "searched best" if best is material.best else "confirmed best"
    columns = ["parameter", f"{what} (trial {best.number})"]
    if baseline is None or baseline is best:
        return Table(columns, [[name, best.params[name]] for name in names])
    names += [name for name in baseline.params if name not in best.params]
    rows: list[list[Cell]] = [
        [name, best.params.get(name, ""), baseline.params.get(name, "")] for name in names
    ]
    return Table([*columns, "baseline (trial 0)"], rows)


def _data(material: Material) -> dict[str, Any]:
    return {
        "confirmed": material.confirmation,
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
        "seed": trial.seed,
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "reason": trial.reason,
    }


def _exact(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"
