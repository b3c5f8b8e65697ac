"""``python -m tests.simulator 100000``: live so many histories, name those that find a fault."""

from __future__ import annotations

import gc
import sys
import time
import traceback

import optuna

from tests.simulator.histories import lived, place

_MOST_SHOWN = 10


def main(seeds: str) -> int:
    """Live the histories of some seeds; returns how many found a fault.

    Args:
        seeds: how many, from 0; or ``from:to``, without the last.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first, _, last = seeds.rpartition(":")
    start, failed = time.monotonic(), 0
    numbers = range(int(first or 0), int(last))
    gc.freeze()  # or it looks at every imported module again and again
    with place() as held:
        for count, seed in enumerate(numbers, start=1):
            try:
                lived(seed, held)
            except Exception:
                failed += 1
                print(f"seed {seed} finds a fault:\n{traceback.format_exc()}", flush=True)
                if failed == _MOST_SHOWN:
                    break
            if count % 1000 == 0:
                print(f"{count} histories, {failed} faults", flush=True)
    seconds = time.monotonic() - start
    print(f"{count} histories in {seconds:.0f} s, {failed} with a fault")
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1])))
