"""A confirmation as rows and sentences: the terminal, the page and the model card lay these out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from analysis.display.scale import Scale
from analysis.stats.intervals import Estimate
from analysis.verdict.confirmation import Confirmation
from analysis.verdict.standing import Standing

READING_COLUMNS = ("test split, read once", "metric", "under each seed")
_EXPLANATION = (
    "The winner was chosen by the candidates' scores; winner and baseline were then measured under "
    "seeds that took no part in the choice. Optimism: by how much the search made it look better. "
    "Intervals are over seeds that did not collapse, on this validation split; they reach further "
    "on the side where seeds fall."
)


@dataclass(frozen=True)
class Rendering:
    """What every output shows.

    Args:
        sentence: the finding.
        columns: of ``measured`` and ``candidates``.
        measured: the winner and the baseline, as texts.
        candidates: as texts.
        readings: every reading of the test split, as texts, by ``READING_COLUMNS``.
        explanation: how the figures came about.
        gains: over the baseline, a sentence for each split.
        notes: on other confirmations of the run, and on later trials.
    """

    sentence: str
    columns: list[str]
    measured: list[list[str]]
    candidates: list[list[str]]
    readings: list[list[str]]
    explanation: str
    gains: list[str]
    notes: list[str]


def rendering_of(found: Confirmation) -> Rendering:
    """The rows and sentences of a confirmation."""
    scale = found.scale
    mean = "mean, %" if scale.is_share else "mean"
    roles = {held.trial: f" ({role})" for role, held in _measured(found)}
    gains = (("validation", found.gain), ("test", found.gain_on_test))
    return Rendering(
        sentence=found.sentence,
        columns=["", "trial", "seeds", mean, "SE", "95 % interval", "searched", "optimism"],
        measured=[_row(role, held, scale) for role, held in _measured(found)],
        candidates=[_row(found.role(held), held, scale) for held in found.candidates],
        readings=[
            [
                f"trial {test.trial}{roles.get(test.trial, '')}",
                test.metric,
                ", ".join(scale.score(s) if math.isfinite(s) else "failed" for s in test.scores),
            ]
            for test in found.tests
        ],
        explanation=_EXPLANATION,
        gains=[_gain(split, gain, scale) for split, gain in gains if gain is not None],
        notes=[f"An earlier confirmation: {line}." for line in found.earlier]
        + ([f"{found.note}; shoal confirm asks again."] if found.note else []),
    )


def _measured(found: Confirmation) -> list[tuple[str, Standing]]:
    measured = (("winner", found.winner), ("baseline", found.baseline))
    return [(role, held) for role, held in measured if held is not None]


def _row(role: str, held: Standing, scale: Scale) -> list[str]:
    counts = {"failed": held.failed, "collapsed": len(held.collapsed)}
    failures = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    seeds = f"{len(held.scores)}" + (f" ({failures})" if failures else "")
    figures = [scale.score(held.scores[0], unit="") if held.scores else "", "", ""]
    if held.estimate is not None:
        mean, low, high = (
            scale.score(v, unit="")
            for v in (held.estimate.mean, held.estimate.low, held.estimate.high)
        )
        figures = [mean, scale.width(held.estimate.se), f"{low}–{high}"]
    searched = "" if held.searched is None else scale.score(held.searched, unit="")
    optimism = "" if held.optimism is None else scale.width(held.optimism)
    return [role, str(held.trial), seeds, *figures, searched, optimism]


def _gain(split: str, gain: Estimate, scale: Scale) -> str:
    low, high = scale.width(gain.low), scale.width(gain.high)
    by = f"{scale.width(gain.mean)}{scale.unit} (95 %: {low} to {high})"
    return f"Gain over the baseline on {split}: {by}."


def _standings(found: Confirmation) -> list[tuple[str, Standing]]:
    """Every configuration with its role; the winner and the baseline by what measured them."""
    return [*_measured(found), *((found.role(held), held) for held in found.candidates)]


def trial_in(found: Confirmation, trial: int) -> dict[str, Any] | None:
    """The role and the figures of one trial as plain data; None where it was not trained again."""
    for role, held in _standings(found):
        if held.trial == trial:
            figures = held.plain()
            kept = ("n", "mean", "low", "high", "lost")
            return {"role": role, **{name: figures[name] for name in kept}}
    return None


def trial_text(found: Confirmation, trial: int) -> str:
    """The same in words, for a table; empty where there is no estimate."""
    for role, held in _standings(found):
        if held.trial == trial and held.estimate is not None:
            scale, figures = found.scale, held.estimate
            low, high = scale.score(figures.low, unit=""), scale.score(figures.high, unit="")
            return f"{scale.score(figures.mean)} ({low} to {high}; {role}, {figures.n} seeds)"
    return ""
