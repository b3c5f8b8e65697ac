"""What the tests of the report share: a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, find_browser, open_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where there is none."""
    command = find_browser()
    if command is None:
        reason = "there is no browser (Debian: apt install chromium)"
        if os.environ.get("SHOAL_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with open_browser(command) as browser:
        yield browser
