"""The page of results, made from rows alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.yardstick.contenders.each import CONTENDERS
from benchmarks.yardstick.jobs import JOBS
from benchmarks.yardstick.record import Row, done_of, matching
from benchmarks.yardstick.shown.goals import in_words
from benchmarks.yardstick.shown.tables import (
    farm_table,
    goal_table,
    latest,
    leaderboard,
    long_table,
    race_table,
    start_table,
    suggestion_table,
)

_INTRODUCTION = """# The yardstick

Shoal against its rivals on the same job; how long one waits for a first report; how far it scales.
`make bench` measures all of it within an hour, and wrote this page. Medians, and in brackets the
least and the most of n repetitions, each in a fresh process. Each part shows the newest commit that
it was measured with.
"""
_RACES = """## The same job

From the command to its end, with start-up. Contenders take turns; where the time did not last for
5 repetitions of all, the slow ones have fewer. The seed of a repetition cuts the same validation
split for every contender. `best` is the highest last validation accuracy of any trial.

- All train the same network (one hidden layer, PyTorch's init, no norm) with Adam and batches of 64
  over the same space, and stop early by successive halving from epoch 1 with factor 3.
- Shoal, Ray Tune and Optuna propose by TPE; Syne Tune's ASHA proposes at random.
- Ray Tune, Syne Tune and Shoal's `tune` train 2 trials at a time on 2 cores, one thread each.
  Optuna alone, `inline` and `fused` are one process: Optuna trains one trial at a time with
  PyTorch's default threads, `inline` with one thread, `fused` many trials as one model.
- Stock Ray Tune is written as its documentation teaches: DataLoaders with a transform per image.
  The expert's keeps processes and data in memory. Both write no checkpoints; Shoal does, and a
  journal, TensorBoard files and a report.
- Rivals read and cut the data by Shoal's functions, which import less than scikit-learn's.
- CPU time and memory are those of all processes, looked at five times (memory: once) a second.
- How many epochs a search trains depends on its luck and its proposals; `ms for each epoch` is the
  whole wall time over them.
- Your own code is trained one trial in a process, by `tune` or `inline`. `fused`, and so `auto`, is
  faster with small built-in models only.
"""
_STARTS = """## Start-up

From the command to the first report of the digits job in the journal, and where the seconds go, as
medians: Python itself, imports in the command's process, Ray's start, the data, and the first trial
(its worker, what that imports, an epoch). CPU seconds are those of all processes, Ray's too.
"""
_SCALE = """## Scale

The real coordinator with its journal, TensorBoard files and `optuna.log`; workers are simulated,
and Ray is left out. An epoch takes 10 simulated seconds, give or take a tenth, and each report and
suggestion holds up the driver for as long as it really computes. Efficiency is the share of their
time in which workers train, until no trial is left to begin.
"""
_SUGGESTIONS = "CPU time of a suggestion, the median of 10, when so many trials have ended:"
_LONG = "A long search of trials of 1 to 3 epochs, proposed at random, by tenths; one run:"


def page(rows: Sequence[Row], folder: Path, pictures: Path) -> str:
    """Write the page.

    Args:
        rows: of all parts and commits.
        folder: where the page will be.
        pictures: where its pictures will be.
    """
    if not rows:
        return _INTRODUCTION + "\nNothing has been measured yet.\n"
    races = [row for job in JOBS for row in latest(rows, part="race", job=job)]
    starts, scale = latest(rows, part="startup"), _settled(latest(rows, part="scale"))
    shown = os.path.relpath(pictures, folder)
    sections = [_INTRODUCTION, "## Goals\n", goal_table(races, starts, scale) + "\n"]
    if races:
        sections += [_RACES, f"![Wall time of each contender]({shown}/races.png)\n"]
    for job in JOBS:
        if found := matching(races, job=job):
            sections += [_job_heading(found), race_table(found) + "\n"]
            sections += [in_words(found) + "\n", *_absent(found)]
    if starts:
        sections += [_STARTS, start_table(starts) + "\n", _measured_on(starts)]
    if scale:
        sections += [_SCALE, f"![Where scale bends]({shown}/scale.png)\n", farm_table(scale) + "\n"]
        sections += [_SUGGESTIONS + "\n", suggestion_table(scale) + "\n"]
        sections += [_LONG + "\n", long_table(scale) + "\n", _measured_on(scale)]
    sections += ["## Leaderboard\n", leaderboard(rows)]
    return "\n".join(sections) + "\n"


def _settled(scale: Sequence[Row]) -> list[Row]:
    """Without what failed, or was not done in time, and was measured later on."""
    done = {row["what"] for row in done_of(scale)}
    return [row for row in scale if "error" not in row or row["what"] not in done]


def _job_heading(rows: Sequence[Row]) -> str:
    job, trials = JOBS[rows[-1]["job"]], rows[-1]["trials_asked"]
    size = f"{trials} trials of up to {job.max_epochs} epochs, MLP {job.pixels}-{job.hidden}-10"
    return f"### {job.name}\n\n{size}. {_measured_on(rows)}"


def _measured_on(rows: Sequence[Row]) -> str:
    """What figures must be read with."""
    last = rows[-1]
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    return f"Commit {last['commit']}, {last['date'][:10]}; {last['machine']}; {versions}.\n"


def _absent(rows: Sequence[Row]) -> list[str]:
    """Who has no figure, for want of time or of the package."""
    there = {row["contender"] for row in rows}
    titles = [each.title for name, each in CONTENDERS.items() if name not in there]
    return [f"Not measured: {', '.join(titles)}.\n"] if titles else []
