"""How the configuration of a single trial did in a confirmation."""

from __future__ import annotations

from typing import Any

from analysis.verdict.confirmation import Confirmation, Standing


def under_fresh_seeds(found: Confirmation, trial: int) -> dict[str, Any] | None:
    """Its role and its figures as plain data; None where it was not trained again."""
    for role, held in _standings(found):
        if held.trial == trial:
            figures = held.plain()
            kept = ("n", "mean", "low", "high", "lost")
            return {"role": role, **{name: figures[name] for name in kept}}
    return None


def fresh_seeds_told(found: Confirmation, trial: int) -> str:
    """The same in words, for a table; empty where there is nothing to tell."""
    for role, held in _standings(found):
        if held.trial == trial and held.estimate is not None:
            scale, figures = found.scale, held.estimate
            low, high = scale.score(figures.low, unit=""), scale.score(figures.high, unit="")
            return f"{scale.score(figures.mean)} ({low} to {high}; {role}, {figures.n} seeds)"
    return ""


def _standings(found: Confirmation) -> list[tuple[str, Standing]]:
    """Every configuration with its role; the winner and the baseline by what measured them."""
    measured = [("winner", found.winner), ("baseline", found.baseline)]
    held = [(role, standing) for role, standing in measured if standing is not None]
    return [*held, *((found.role(standing), standing) for standing in found.candidates)]
