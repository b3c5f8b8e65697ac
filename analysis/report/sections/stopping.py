"""Was stopping early right? What an audit found, if there was one."""

from __future__ import annotations

from analysis.report.section import Material, Part, Section, Table, Text
from analysis.verdict.audit import RUNG_COLUMNS


def stopping_section(material: Material) -> Section | None:
    """The stopped trials that were trained to the end; None where none were."""
    found = material.audit
    if found is None:
        return None
    parts: list[Part] = [
        Text(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in found.sentences
    ]
    if found.rows:
        parts.append(Table(list(RUNG_COLUMNS), [list(row) for row in found.rows]))
    return Section("Was stopping early right?", "audit", parts, found.plain())
