"""The live view below a notebook's cell. (That of ``rich`` needs a package of widgets.)"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from search.cli.console import Screen

_WIDTH = 100  # characters
_PAGE = '<pre style="line-height: 1.25; white-space: pre">{code}</pre>'


class Cell:
    """Shows something below the cell that runs, and paints it anew.

    Args:
        render: what is shown now.
    """

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self._render = render
        self._handle: Any = None

    def start(self, refresh: bool = False) -> None:
        """Show it."""
        from IPython.display import HTML, display

        self._handle = display(HTML(self._html()), display_id=True)

    def refresh(self) -> None:
        """Paint it anew."""
        from IPython.display import HTML

        self._handle.update(HTML(self._html()))

    def stop(self) -> None:
        """Leave it as it is."""

    def _html(self) -> str:
        screen = Screen(
            file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, color_system="256"
        )
        screen.print(self._render())
        return screen.export_html(code_format=_PAGE, inline_styles=True)
