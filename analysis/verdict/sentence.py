"""A confirmation in one plain sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.verdict.confirmation import Confirmation, Standing


def sentence_of(found: Confirmation) -> str:
    """The verdict, the winner's score and its gain, on test where that was read."""
    winner, scale = found.winner, found.scale
    if winner is None:
        return "Not confirmed: each candidate diverged or failed under some seed"
    if winner.lost or winner.estimate is None:
        return f"Not confirmed: {_lost(winner)}"
    name = "" if scale.is_share else f"{found.metric.name.removeprefix('val_')} "
    also = ""
    told, split = winner.estimate, "validation"
    if found.tested is not None and found.tested.estimate is not None:
        told, split = found.tested.estimate, "test"
        also = f"; {scale.score(winner.estimate.mean)} on validation"
    span = scale.span(told.low, told.high)
    score = f"{name}{scale.score(told.mean)} on {split} (95 %: {span}, {told.n} seeds)"
    return f"{_verdict(found)}{score}{_gained(found)}{also}"


def _lost(held: Standing | None) -> str:
    """How many seeds came to nothing; an empty text where none did."""
    if held is None:
        return ""
    count = len(held.scores) + held.lost
    parts = [f"{held.lost} of {count} trainings diverged or failed"] if held.lost else []
    if held.collapsed:
        parts.append(f"{len(held.collapsed)} of {count} seeds collapsed")
    return " and ".join(parts)


def _verdict(found: Confirmation) -> str:
    gain = found.told_gain
    if failed := _on_both_splits(_lost(found.winner), _lost(found.tested)):
        return f"Not confirmed, as {failed}; the others: "
    if found.baseline is None or gain is None or gain.low > 0:
        return "Confirmed: "
    return (
        "Worse than the baseline: "
        if gain.high < 0
        else "Not shown to be better than the baseline: "
    )


def _gained(found: Confirmation) -> str:
    baseline, gain, scale = found.baseline, found.told_gain, found.scale
    if baseline is None:
        return ""
    failed = _on_both_splits(_lost(baseline), _lost(found.baseline_tested))
    if gain is None:
        return f"; of the baseline {failed}, so there is no gain to tell"
    sign, word = (1.0, "better") if gain.mean >= 0 else (-1.0, "worse")
    low, high = (scale.width(value) for value in sorted((sign * gain.low, sign * gain.high)))
    by = f"{scale.width(abs(gain.mean))}{scale.unit}"
    compared = f", {by} {word} than the baseline ({low} to {high})"
    if found.tested is not None and found.gain_on_test is None:
        compared += " on validation"
    return f"{compared}, of which {failed}" if failed else compared


def _on_both_splits(failed: str, failed_on_test: str) -> str:
    """What came to nothing on validation, and on test; a seed that does on both is told once."""
    if failed == failed_on_test:
        return failed
    on_test = f"{failed_on_test} on test" if failed_on_test else ""
    return ", ".join(part for part in (failed, on_test) if part)
