"""A report as Markdown and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from analysis.display.plain import json_text
from analysis.display.tables import markdown_text, show_rows
from analysis.report.section import (
    ByEpoch,
    Code,
    Figure,
    Grid,
    Part,
    Section,
    Table,
    Text,
    TrialTable,
)
from spaces.problems import printable

MOST_ROWS = 50  # of the table of all trials, in Markdown


def markdown_of(title: str, sections: Sequence[Section]) -> bytes:
    """The report as Markdown; what is drawn is named only."""
    blocks = [f"# {markdown_text(title)}"]
    for section in sections:
        parts = [_markdown(part) for part in section.parts]
        blocks += [f"## {markdown_text(section.title)}", *(part for part in parts if part)]
    return ("\n\n".join(blocks) + "\n").encode(errors="backslashreplace")


def _markdown(part: Part) -> str:
    match part:
        case Text():
            return (
                f"**{markdown_text(part.text)}**"
                if part.kind == "lead"
                else markdown_text(part.text)
            )
        case Table():
            caption = f"{markdown_text(part.caption)}\n\n" if part.caption else ""
            return caption + _rows(part.columns, part.rows)
        case TrialTable():
            left = len(part.rows) - MOST_ROWS
            more = f"\n\nand {left:,} more, in the page and in the CSV" if left > 0 else ""
            return _rows(part.columns, part.rows[:MOST_ROWS]) + more
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", part.text)), default=0))
            return f"{fence}{part.language}\n{printable(part.text.rstrip())}\n{fence}"
        case ByEpoch():
            return _markdown(part.first)
        case Figure() | Grid():
            return f"(A figure, in the page.) {markdown_text(part.caption)}"


def _rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *show_rows(rows)]
    return "\n".join(f"| {' | '.join(map(markdown_text, line))} |" for line in lines)


def json_of(title: str, sections: Sequence[Section]) -> bytes:
    """The report as one JSON document, what each section holds by its anchor."""
    held = {section.anchor: section.data for section in sections if section.data is not None}
    return f"{json_text({'title': title, **held}, indent=1)}\n".encode()
