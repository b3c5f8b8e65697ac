"""Tests, which mirror the packages. Each process of theirs has one thread, before torch is loaded.

Two processes of pytest share the cores; threads that wait for each other can slow both tenfold.
"""

import os

import pytest

pytest.register_assert_rewrite("tests.support")
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
