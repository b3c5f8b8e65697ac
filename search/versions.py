"""The versions that a result depends on."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = ("shoal", "ray", "optuna", "torch", "torchvision", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
