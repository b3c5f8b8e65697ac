"""What Ray adds to a search, in seconds, as seen in searches of the digits on two cores."""

from __future__ import annotations

START = 11.0  # until Ray and its first process train; 14 on a slow day (benchmarks/RESULTS.md)
END = 1.5  # until it has ended
TRIAL = 0.25  # by which a trial begins later in one of its processes
REPORT = 0.005  # that the driver takes for a report through Tune
