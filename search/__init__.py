"""How a search runs: decisions, transports, sessions, the command line; public names, lazily."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.export.bundle import export_best
    from search.folders import new_folder
    from search.library.result import SearchResult
    from search.library.start import load, resume, run
    from search.lifecycle import resume_search, start_search
    from search.rerun.audit import audit_run
    from search.rerun.confirm import confirm_run
    from search.session import Host
    from spaces.files import load_experiment

_PLACES = {
    "Host": "search.session",
    "SearchResult": "search.library.result",
    "audit_run": "search.rerun.audit",
    "confirm_run": "search.rerun.confirm",
    "export_best": "search.export.bundle",
    "load": "search.library.start",
    "load_experiment": "spaces.files",
    "new_folder": "search.folders",
    "resume": "search.library.start",
    "resume_search": "search.lifecycle",
    "run": "search.library.start",
    "start_search": "search.lifecycle",
}

__all__ = [
    "Host",
    "SearchResult",
    "audit_run",
    "confirm_run",
    "export_best",
    "load",
    "load_experiment",
    "new_folder",
    "resume",
    "resume_search",
    "run",
    "start_search",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"search has no {name}; it has {', '.join(__all__)}")
    _check_packages()
    with warnings.catch_warnings():  # of bars that nobody draws: Optuna's, in a notebook
        warnings.filterwarnings("ignore", "IProgress not found")
        return getattr(importlib.import_module(_PLACES[name]), name)


def _check_packages() -> None:
    """See that no module of the user's hides a package of Shoal's.

    Raises:
        ImportError: when one does, with its file.
    """
    here = Path(__file__).resolve().parents[1]
    for name in ("analysis", "spaces", "trainables"):
        held = sys.modules.get(name)
        spec = importlib.util.find_spec(name) if held is None else held.__spec__
        file = getattr(spec, "origin", None) or getattr(held, "__file__", None)
        if file is None or here not in Path(file).resolve().parents:
            what = f"{file or name} hides the package {name} of Shoal"
            raise ImportError(
                f"{what}; rename it, or search with the command shoal, which sees both"
            )
