"""A report as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from analysis.events import STATES
from analysis.report.section import (
    Code,
    Figure,
    Grid,
    Part,
    Section,
    Table,
    Text,
    TrialTable,
)
from analysis.tables import show_value
from spaces.problems import printable

_HERE = Path(__file__).parent
_DIGITS = 6  # of the numbers that are drawn
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
<script type="application/json" id="figures">{_json(page.figures)}</script>
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
    text = json.dumps(_rounded(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(held) for held in value]
    return value


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
            case TrialTable():
                self.tables.append(dataclasses.asdict(part))
                return f'<div class="trials" data-table="{len(self.tables) - 1}"></div>'

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
    kinds = [_kind(column) for column in zip(*table.rows, strict=True)]
    head = "".join(
        f'<th scope="col"{kind}>{_text(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "\n".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in table.rows)
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<figure>{caption}<div class="frame"><table>{body}</table></div></figure>'


def _kind(column: Sequence[Any]) -> str:
    """How a column is set: numbers stand on the right."""
    texts = [_shown(value) for value in column if value is not None]
    return ' class="number"' if texts and all(map(_NUMBER.match, texts)) else ""


def _cell(value: Any, kind: str) -> str:
    if value in STATES:
        kind = f' class="state {value}"'
    return f"<td{kind}>{_text(_shown(value))}</td>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_whole else show_value(value)
