"""Tests, which mirror the packages. What they need of the environment, before anything is loaded.

Each process has one thread, and no width of a terminal but that which a test sets.

Two processes of pytest share the cores; threads that wait for each other can slow both tenfold.
"""

import os

import pytest

pytest.register_assert_rewrite("tests.support")
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
