"""What Ray needs of this machine to start: each fault in a line, with the way out."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

from spaces.problems import InputError, Problem

_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107  # bytes, set by the system
_SOCKET = "ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
_TOKEN, _TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_MOST_TOKEN_BYTES = 10_000
_STAYS_BEHIND = (".git", ".venv", "__pycache__", "data", "runs", "venv")


def start_faults(address: str | None) -> list[Problem]:
    """What would keep Ray from starting here, or from connecting to a cluster.

    Args:
        address: of a Ray cluster; None: Ray starts on this machine.
    """
    folder = [] if address is not None else _session_faults()
    return [*folder, *_token_faults()]


def _session_faults() -> list[Problem]:
    """Ray's folder for its sessions must have a short name, and be writable."""
    variable = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), None)
    if variable == "TMPDIR" and not sys.platform.startswith("linux"):
        variable = None
    folder = "/tmp" if variable is None else os.environ[variable]  # noqa: S108 (Ray's own choice)
    source, way_out = variable or "RAY_TMPDIR", "set RAY_TMPDIR to a short path, such as /tmp"
    most = _LONGEST_SOCKET - len(f"/{_SOCKET}")
    if len(os.fsencode(folder)) > most:
        length = len(os.fsencode(folder))
        rule = f"Ray's sockets lie below it, so it may have at most {most} bytes"
        return [Problem(source, f"{rule}, got {length}: {folder}; {way_out}")]
    nearest = next((p for p in (Path(folder), *Path(folder).parents) if p.exists()), Path("/"))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        what = f"Ray's folder for its sessions can't be made in {folder}"
        return [Problem(source, f"{what}; set RAY_TMPDIR to a folder that can be written")]
    return []


def _token_faults() -> list[Problem]:
    """The token by which Ray's processes know each other must be one that can be sent."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return []
    if os.environ.get(_TOKEN):
        return _checked_token(os.fsencode(os.environ[_TOKEN]), _TOKEN, "unset it")
    given = os.environ.get(_TOKEN_PATH)
    file = _default_token() if given is None else Path(given)
    if file is None or (given is None and not file.exists()):
        return []
    source = _TOKEN_PATH if given is not None else str(file)
    way_out = f"unset {_TOKEN_PATH}" if given is not None else "delete it: Ray makes a new one"
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_TOKEN_BYTES)
    except OSError as error:
        what = f"Ray's token can't be read from {file}: {error.strerror}; {way_out}"
        return [Problem(source, what)]
    if given is None and not content.strip():
        return []  # Ray writes one
    return _checked_token(content, source, way_out)


def _checked_token(content: bytes, source: str, way_out: str) -> list[Problem]:
    if re.fullmatch(rb"[\x21-\x7e]+", content.strip()):
        return []
    rule = "Ray's token must be one line of ASCII signs without spaces"
    return [Problem(source, f"{rule}, got {len(content)} bytes that are none; {way_out}")]


def _default_token() -> Path | None:
    """Where Ray keeps its token; None for a user without a home."""
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        return None


def keep_token_in_memory() -> None:
    """Give a Ray that starts here a token where it could write none, for want of a home."""
    if {_TOKEN, _TOKEN_PATH} & os.environ.keys():
        return
    file = _default_token()
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            if os.access(file if file.exists() else file.parent, os.R_OK | os.W_OK):
                return
    except OSError:
        pass
    os.environ[_TOKEN] = secrets.token_hex(32)


def start_error(error: Exception, address: str | None, code: Path | None) -> InputError:
    """What Ray said when it could not be started or reached, in a line with the way out.

    Args:
        error: Ray's.
        address: of a Ray cluster; None: this machine.
        code: the folder that was to be taken along.
    """
    reason = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        reason = f"{error.filename} can't be written: {error.strerror}"
    size = re.search(r"\(([\d.]+ ?MiB)\) exceeds the maximum size of ([\d.]+ ?MiB)", _chain(error))
    if size is not None and code is not None:
        packed, most = size.groups()
        largest = ", ".join(f"{name} ({held / 1e6:,.0f} MB)" for name, held in _largest(code))
        return InputError(
            f"{code} goes to the workers with your code, but takes {packed} when packed, at most "
            f"{most} can be sent; the largest in it: {largest}. Name what workers don't need in "
            "a file .rayignore in it, or keep the code in a folder of its own",
            "--address",
        )
    if type(error).__name__ == "AuthenticationError":
        way_out = f"put the cluster's token into {_TOKEN_PATH} or ~/.ray/auth_token"
        return InputError(f"the cluster refuses Ray's token: {reason}; {way_out}", "--address")
    if "memory" in reason:
        way_out = "end other programs, or use a larger machine: Ray itself takes about 500 MB"
        return InputError(f"too little memory is free to start Ray: {reason}; {way_out}")
    if address is not None:
        return InputError(f"no Ray cluster answers at {address}: {reason}", "--address")
    if "timed out during startup" in reason:
        reason += "; the machine may be too busy, or its memory full: try again once it is not"
    return InputError(f"Ray can't be started here: {reason}")


def _chain(error: BaseException | None) -> str:
    """What an error and those behind it say."""
    texts = []
    while error is not None:
        texts.append(" ".join(str(error).split()))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def _largest(folder: Path) -> list[tuple[str, int]]:
    """The three largest things of more than a megabyte in a folder, with their bytes."""
    sizes: dict[str, int] = {}
    for place, folders, files in os.walk(folder):
        below = Path(place).relative_to(folder).parts
        folders[:] = [name for name in folders if below or name not in _STAYS_BEHIND]
        for file in files:
            path = Path(place) / file
            size = path.stat().st_size if path.is_file() else 0
            name = f"{below[0]}/" if below else file
            sizes[name] = sizes.get(name, 0) + size
    large = [(name, size) for name, size in sizes.items() if size >= 1e6]
    return sorted(large, key=lambda item: -item[1])[:3]
