"""Where Shoal starts, in the command line and in Ray's workers; nothing else has this name.

The names of Shoal's packages (``search``, ``analysis``, ...) are those of many a folder, too. So
that no such folder is taken for them, wherever it stands on Python's path, they are always looked
for beside this file. (``spaces.project`` sees to the reverse: own code finds its own modules.)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("spaces", "trainables", "analysis", "search")
_HERE = str(Path(__file__).resolve().parent)


class _Finder:
    """Finds Shoal's own packages, in the one place where they are installed."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [_HERE]) if name in PACKAGES else None


def main() -> int:
    """The command ``shoal``; returns its exit code."""
    _find_ours_first()
    from search.cli.main import main

    return main()


def start_worker() -> None:
    """What a worker of Ray does first: go to the project, import as the command line does.

    The folder of Ray's own script leaves the path; the current one, which Ray is yet to put there,
    does so before a trial begins.
    """
    script = str(Path(sys.argv[0]).parent)
    sys.path[:] = [place for place in sys.path if place != script]
    if project := os.environ.get("SHOAL_PROJECT"):  # which Ray brought to this node of a cluster
        os.chdir(project)
    _find_ours_first()
    import trainables.worker.tune_worker  # noqa: F401
    from spaces.project import remember_path

    remember_path()


def _find_ours_first() -> None:
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
