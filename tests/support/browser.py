"""A headless Chromium, driven over a pipe with the Chrome DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0  # how long anything may take


def find_browser() -> str | None:
    """The browser's command, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A page in a browser of its own.

    ``errors``: what went wrong since it was opened: exceptions, console errors, refused loads.
    ``requests``: the addresses that were asked for.

    Args:
        command: the browser's.
        profile: an empty folder for it.
        width: of the window, in pixels.
    """

    def __init__(self, command: str, profile: Path, width: int = 1100) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._count = 0
        self._session: str | None = None  # the page's; none yet
        self._unread = b""
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--window-size={width},900",
        ]
        # the protocol's pipe is the file descriptors 3 and 4
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers} 2>/dev/null'
        self._process = subprocess.Popen(
            ["bash", "-c", script, command, *options, "about:blank"], pass_fds=(commands, answers)
        )
        os.close(commands)
        os.close(answers)
        os.set_blocking(self._in, False)
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        asked = {"targetId": page["targetId"], "flatten": True}
        self._session = self.send("Target.attachToTarget", **asked)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for something, and wait for the answer."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._unread:
            assert time.monotonic() < deadline, "the browser does not answer"
            try:
                self._unread += os.read(self._in, 1 << 20)
            except BlockingIOError:
                time.sleep(0.005)
        line, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.errors.append(str(details.get("exception", {}).get("description", details)))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(str([arg.get("value") for arg in params["args"]]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    def open(self, file: Path) -> None:
        """Open a file, and wait until all its figures are drawn; forgets the page before."""
        self.errors.clear()
        self.requests.clear()
        self.send("Page.navigate", url=file.resolve().as_uri())
        self.wait("document.documentElement?.dataset.drawn !== undefined")

    def wait(self, condition: str) -> None:
        """Wait until something is true in the page."""
        deadline = time.monotonic() + SECONDS
        while not self.value(condition):
            assert time.monotonic() < deadline, f"never true: {condition}; {self.errors}"
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.send("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def emulate(self, media: str = "", **features: str) -> None:
        """Show the page as on paper (``print``), or with features such as a dark scheme."""
        named = [{"name": n.replace("_", "-"), "value": value} for n, value in features.items()]
        self.send("Emulation.setEmulatedMedia", media=media, features=named)

    def resize(self, width: int) -> None:
        """Make the window so many pixels wide."""
        sized = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **sized)

    def picture(self, file: Path, width: int = 1100) -> None:
        """Save a picture of the whole page."""
        self.resize(width)
        time.sleep(0.5)  # figures follow the width
        taken = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def pdf(self, file: Path) -> None:
        """Print the page."""
        printed = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        file.write_bytes(base64.b64decode(printed["data"]))
