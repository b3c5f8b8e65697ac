"""How many threads a trial uses: of PyTorch, and of other libraries that its code imports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def limit_threads(threads: int) -> None:
    """Let each library of this process compute with so many threads from now on.

    Those that are loaded later, and child processes, read it from environment variables. (More
    threads than CPUs wait for each other: scikit-learn's, which spin, for most of the time.)
    """
    torch.set_num_threads(threads)
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
    for library in ThreadpoolController().lib_controllers:
        library.set_num_threads(threads)


@contextmanager
def threads_restored() -> Iterator[None]:
    """The threads of the libraries that are loaded now are as before in the end."""
    threads = torch.get_num_threads()
    held = [(library, library.num_threads) for library in ThreadpoolController().lib_controllers]
    try:
        yield
    finally:
        for library, number in held:
            library.set_num_threads(number)
        torch.set_num_threads(threads)
