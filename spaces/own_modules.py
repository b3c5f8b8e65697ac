"""How a file of own code is imported: under which name, and what it draws at random meanwhile."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from types import ModuleType

import numpy as np

from spaces.imports import Reference, module_file

_TORCH_SEED = 67280421310721  # what torch starts with


def names_in(root: Path) -> Iterator[str]:
    """The names under which what lies in a folder can be imported."""
    with suppress(OSError):
        for entry in os.scandir(root):
            name = entry.name.removesuffix(".py")
            path = root / name
            is_module = module_file(path) is not None or any(path.glob("*.py"))
            if name.isidentifier() and is_module:
                yield name


def is_always_pythons(name: str) -> bool:
    """Whether a name is looked for in no folder."""
    return BuiltinImporter.find_spec(name) is not None or FrozenImporter.find_spec(name) is not None


def name_of(reference: Reference) -> str:
    """The name that the module of a reference has in this process."""
    return reference.module.replace(".", "_") if _is_odd(reference) else reference.module


def import_own(reference: Reference) -> ModuleType:
    """Import the module of a reference. What it draws is the same in every process."""
    with _same_draws():
        if _is_odd(reference):
            return _load_file(name_of(reference), reference.file)
        return importlib.import_module(name_of(reference))


def _is_odd(reference: Reference) -> bool:
    """Whether no import could name the file, such as ``train.v2.py``."""
    return "." in reference.file.stem


def _load_file(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _same_draws() -> Iterator[None]:
    """What own code draws at random while it is imported is the same in every process."""
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    held = None if torch is None else torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    if torch is not None:
        torch.manual_seed(_TORCH_SEED)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(held)
