"""A page in a headless Chromium, through playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Page, sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
HEIGHT = 900  # of a window, in pixels
MILLISECONDS = 60_000  # how long anything may take


def find_browser() -> str | None:
    """The browser's command, None where there is none."""
    return next((path for name in COMMANDS if (path := shutil.which(name))), None)


@contextmanager
def open_browser(command: str, width: int = 1100) -> Iterator[Browser]:
    """A browser with one empty page, in a window so many pixels wide."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=command)
        page = chromium.new_page(viewport={"width": width, "height": HEIGHT})
        yield Browser(page)
        chromium.close()


class Browser:
    """A page, and what went wrong in it.

    ``errors``: exceptions, console errors and refused loads since the page was opened.
    ``requests``: the addresses that were asked for since then.
    """

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._page = page
        page.set_default_timeout(MILLISECONDS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        page.on("request", lambda request: self.requests.append(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.errors.append(message.text)

    def open(self, file: Path) -> None:
        """Open a file, and wait until all its figures are drawn; forgets the page before."""
        self.errors.clear()
        self.requests.clear()
        self._page.goto(file.resolve().as_uri())
        self.wait("document.documentElement?.dataset.drawn !== undefined")

    def wait(self, condition: str) -> None:
        """Wait until something is true in the page.

        (Playwright's own waiting evaluates a text in the page, which the report's policy forbids.)
        """
        deadline = time.monotonic() + MILLISECONDS / 1000
        while not self.value(condition):
            assert time.monotonic() < deadline, f"never true: {condition}; {self.errors}"
            self._page.wait_for_timeout(20)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        return self._page.evaluate(expression)

    def emulate(self, prefers_color_scheme: Literal["dark", "no-override"] = "no-override") -> None:
        """Show the page as on a system that is set to dark, or as on this one."""
        self._page.emulate_media(color_scheme=prefers_color_scheme)

    def resize(self, width: int) -> None:
        """Make the window so many pixels wide."""
        self._page.set_viewport_size({"width": width, "height": HEIGHT})

    def pdf(self, file: Path) -> None:
        """Print the page."""
        self._page.pdf(path=file, print_background=True, prefer_css_page_size=True)
