"""A report as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from analysis.display.numbers import DIGITS, digits_apart, number
from analysis.display.plain import json_text
from analysis.display.tables import show_column
from analysis.record.events import STATES
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

_HERE = Path(__file__).parent
_DRAWN_DIGITS = 6  # of the numbers that are drawn
_NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?%?$")


def page_of(title: str, sections: Sequence[Section]) -> bytes:
    """The page. Its policy lets no script run but its own, and nothing be loaded."""
    from plotly.offline import get_plotlyjs

    page = _Page()
    body = "\n".join(page.section(section) for section in sections)
    links = " ".join(f'<a href="#{s.anchor}">{_text(s.title)}</a>' for s in sections)
    scripts = [
        _newlines(get_plotlyjs()),
        _newlines((_HERE / "page.js").read_text(encoding="utf-8")),
    ]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(title)}</title>
<style>
{(_HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<button id="theme" type="button" hidden></button>
<nav aria-label="Sections">{links}</nav>
<noscript><p>The figures and the table of all trials need JavaScript.</p></noscript>
</header>
<main>
{body}
</main>
<script type="application/json" id="figures">{_json(_rounded(page.figures))}</script>
<script type="application/json" id="trials-data">{_json(page.tables)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
""".encode(errors="backslashreplace")


def _policy(scripts: Sequence[str]) -> str:
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _newlines(script: str) -> str:
    """A script as a browser reads it, which is what the policy's hashes are of."""
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _json(value: Any) -> str:
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json_text(value, indent=None)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(value: Any, digits: int = _DRAWN_DIGITS) -> Any:
    if isinstance(value, float):
        return float(number(value, digits))
    if isinstance(value, dict):
        return {key: _rounded(held, digits) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(held, digits) for held in value]
    return value


def _trials_data(table: TrialTable) -> dict[str, Any]:
    """The table of all trials for the page's script; ``digits``: how many it shows of a column."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    digits = [DIGITS] * len(columns)
    values = columns[table.sorted]
    digits[table.sorted] = digits_apart(v for v in values if isinstance(v, float))
    held = [
        _rounded(column, max(_DRAWN_DIGITS, n)) for column, n in zip(columns, digits, strict=True)
    ]
    return {**dataclasses.asdict(table), "rows": list(zip(*held, strict=True)), "digits": digits}


def _text(value: object) -> str:
    return escape(printable(str(value)))


class _Page:
    """Turns sections into HTML; what the page's script draws is collected."""

    def __init__(self) -> None:
        self.figures: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []

    def section(self, section: Section) -> str:
        parts = "\n".join(self._part(part) for part in section.parts)
        title = f"<h2>{_text(section.title)}</h2>"
        return f'<section id="{section.anchor}">\n{title}\n{parts}\n</section>'

    def _part(self, part: Part) -> str:
        match part:
            case Text():
                return f'<p class="{part.kind}">{_text(part.text)}</p>'
            case Table():
                return _table(part)
            case Code():
                return f'<pre tabindex="0">{_text(part.text)}</pre>'
            case Figure():
                return self._figure(part)
            case Grid():
                figures = "\n".join(self._figure(figure) for figure in part.figures)
                caption = f'<p class="note">{_text(part.caption)}</p>' if part.caption else ""
                return f'<div class="grid">\n{figures}\n</div>\n{caption}'
            case ByEpoch():
                return self._by_epoch(part)
            case TrialTable():
                self.tables.append(_trials_data(part))
                return f'<div class="trials" data-table="{len(self.tables) - 1}"></div>'

    def _by_epoch(self, part: ByEpoch) -> str:
        views = [
            f'<div class="view" data-epoch="{epoch}"{"" if grid is part.first else " hidden"}>\n'
            f"{self._part(grid)}\n</div>"
            for epoch, grid in part.grids.items()
        ]
        return f'<div class="by-epoch">\n{"".join(views)}\n</div>'

    def _figure(self, figure: Figure) -> str:
        place = len(self.figures)
        drawn = {"data": figure.data, "layout": figure.layout, "switches": figure.switches}
        self.figures.append(drawn)
        kind = "figure wide" if figure.is_wide else "figure"
        caption = f"<figcaption>{_text(figure.caption)}</figcaption>" if figure.caption else ""
        height = figure.layout.get("height", 380)
        plot = f'<div class="plot" data-figure="{place}" style="height:{height}px"></div>'
        return f'<figure class="{kind}"><div class="frame">{plot}</div>{caption}</figure>'


def _table(table: Table) -> str:
    caption = f"<figcaption>{_text(table.caption)}</figcaption>" if table.caption else ""
    places = range(len(table.columns))  # of a table without rows, too
    columns = [_shown([row[place] for row in table.rows]) for place in places]
    kinds = [_kind(column) for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{_text(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "\n".join(
        f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in zip(*columns, strict=True)
    )
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<figure>{caption}<div class="frame"><table>{body}</table></div></figure>'


def _kind(column: Sequence[str]) -> str:
    """How a column is set: numbers stand on the right."""
    texts = [text for text in column if text]
    return ' class="number"' if texts and all(map(_NUMBER.match, texts)) else ""


def _cell(text: str, kind: str) -> str:
    if text in STATES:
        kind = f' class="state {text}"'
    return f"<td{kind}>{_text(text)}</td>"


def _shown(column: Sequence[Any]) -> list[str]:
    is_whole = [isinstance(value, int) and not isinstance(value, bool) for value in column]
    texts = zip(column, is_whole, show_column(column), strict=True)
    return [f"{value:,}" if whole else text for value, whole, text in texts]
