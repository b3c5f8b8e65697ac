"""The user's own code, named in a file as ``folder/my_code.py:function``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spaces.problems import InputError, shown


def absolute_reference(reference: str, folder: Path) -> str:
    """``my_code.py:train`` with the file's path made absolute, seen from ``folder``."""
    file, _, function = reference.rpartition(":")
    try:
        return f"{(folder / file).resolve()}:{function}"
    except (OSError, ValueError, RuntimeError):  # no path; ``load_function`` tells
        return reference


def load_function(reference: str) -> Callable[..., Any]:
    """Import the file that ``reference`` names and take the function from it.

    The file's folder is put at the end of ``sys.path``, so that it can import its neighbours; one
    that has the name of an installed package, or of one of ours, hides nobody's.

    Args:
        reference: ``path/to/file.py:function``.

    Raises:
        InputError: when the reference is no such pair, the file or function is not there, or
            the file cannot be imported.
    """
    file, separator, function = reference.rpartition(":")
    path = Path(file)
    if not separator or path.suffix != ".py" or not function.isidentifier():
        raise InputError(f"must look like my_code.py:function, got {shown(reference)}")
    if not os.path.isfile(path):  # Path.is_file fails for a name that is too long
        raise InputError(f"there is no file {file}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"user_code_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, function, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise InputError(
            f"{file} has no function {shown(function)}; it has {', '.join(names) or 'none'}"
        )
    return found  # type: ignore[no-any-return]
