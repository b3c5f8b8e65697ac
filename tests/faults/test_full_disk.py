"""Disks that are really full: a small one of its own for a search, which then grows."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.record.journal import Journal, read_journal
from search.control.coordinator import Coordinator
from search.provenance import surroundings_of
from spaces.files import load_experiment
from tests.support import examples
from tests.support.invariants import check_optuna_log, check_whole, trials_in
from tests.support.processes import DEADLINE_SECONDS, code_file, process, python, reporting

CODE = """
import os, pathlib, time

def train(config, context):
    mark = pathlib.Path(__file__).with_name("died")
    if config["dies"] and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    total = 0.0 if context.state is None else context.state["total"]
    for epoch in range(context.epoch, context.max_epochs):
        print("x" * config["printed"])
        time.sleep(0.02)
        total += config["step"]
        context.save({"total": total, "ballast": "x" * config["saved"]})
        yield {"score": total}
"""

SMALL_DISK = """
set -e
mkdir -p {disk}
mount -t tmpfs -o size={size} tmpfs {disk}
{prepare}
set +e
{shoal} {first} 2> first.err
echo $? > first.code
cp -rL {run} first
mount -o remount,size=64m {disk}
{shoal} {second} 2> second.err
echo $? > second.code
cp -rL {run} second
"""


def can_mount() -> bool:
    """Whether this user may mount a disk of its own."""
    mount = ["unshare", "-Urm", "mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", "/mnt"]
    try:
        return subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


PAGE_BYTES = 4096  # what a disk in memory is full by
needs_mount = pytest.mark.skipif(not can_mount(), reason="mounting a disk of one's own is refused")


@dataclass
class Place:
    """What lies on the small disk.

    ``size``: in kB. ``error``: what is said to be full. ``disk``: its mount point. ``prepare``:
    shell commands after mounting. ``printed``, ``saved``: bytes per epoch. ``dies``: whether the
    first process dies at once. ``left``: bytes on the journal's first page as the search begins.
    ``code``: the trainable.
    """

    size: int
    error: str
    disk: str = "disk"
    prepare: str = ""
    run: str = "run"
    storage: str | None = None
    printed: int = 0
    saved: int = 0
    dies: bool = False
    left: int | None = None
    trials: int = 8
    code: str = CODE


def moved(file: str) -> str:
    """Shell commands that move a file of the run to the small disk."""
    moves = f"touch run/{file}; mv run/{file} disk/; touch run/{file}"
    return f"{moves}; mount --bind disk/{file} run/{file}"


PLACES = {
    "journal": Place(8, r"run/journal\.jsonl", prepare=moved("journal.jsonl")),
    "journal, as a process dies": Place(
        4, r"run/journal\.jsonl", prepare=moved("journal.jsonl"), dies=True, left=330, trials=1
    ),
    "optuna.log": Place(8, "run", prepare=moved("optuna.log")),
    "tensorboard": Place(16, "run", disk="run/tensorboard"),
    "checkpoints, of code that reports": Place(
        400,
        r"trial \d+: storage \S+/disk/run",
        storage="disk",
        saved=90000,
        code=reporting(CODE),
    ),
    "checkpoints": Place(400, r"trial \d+: storage \S+/disk/run", storage="disk", saved=90000),
}


def experiment_file(folder: Path, place: Place, ballast: int = 0) -> str:
    settings = {"printed": place.printed, "saved": place.saved, "dies": place.dies}
    storage = None if place.storage is None else str(folder / place.storage)
    changes = {"storage": storage, "budget": {"trials": place.trials}}
    return code_file(folder, place.code, train={**settings, "ballast": "x" * ballast}, **changes)


def begun(folder: Path, place: Place) -> None:
    """A run folder with a journal in which nothing has happened yet, of the size asked for."""
    journal, ballast = folder / "run" / "journal.jsonl", 0
    for _ in range(100):  # a time has one digit more or less
        begin(folder, place, ballast)
        missing = 0 if place.left is None else PAGE_BYTES - place.left - journal.stat().st_size
        if missing == 0:
            return
        ballast += missing
        journal.unlink()
    raise AssertionError("the journal never had the size asked for")


def begin(folder: Path, place: Place, ballast: int) -> None:
    experiment = load_experiment(experiment_file(folder, place, ballast))
    (folder / "run").mkdir(exist_ok=True)
    file = folder / "run" / "journal.jsonl"
    coordinator = Coordinator(experiment, Journal(file))
    now = dict(surroundings_of(experiment, None))  # nothing has changed when it is resumed
    coordinator.start(examples.started(experiment).model_copy(update=now))
    coordinator.close(reason="interrupted")


def on_small_disk(folder: Path, place: Place, first: str, second: str) -> None:
    """A command on a disk that gets full, and one once there is room."""
    script = SMALL_DISK.format(
        disk=place.disk,
        size=f"{place.size}k",
        prepare=place.prepare,
        shoal=f"{sys.executable} -m search.cli.main",
        first=first,
        second=second,
        run=place.run,
    )
    shell = process("unshare", "-Urm", "bash", "-c", f"cd {folder}\n{script}")
    out, error = shell.communicate(timeout=3 * DEADLINE_SECONDS)
    assert (folder / "second.code").exists(), out + error
    journal = folder / "run" / "journal.jsonl"
    if journal.exists() and journal.stat().st_size == 0:  # the one on the small disk stood there
        journal.unlink()


def check_told(folder: Path, place: Place) -> None:
    """The first search ended in good order, with one clear message."""
    error = (folder / "first.err").read_text()
    assert (folder / "first.code").read_text() == "1\n", error
    message = rf"error: (\S+/)?{place.error} can't be written: .*No space left on device.*\n"
    again = rf"once that is mended, go on with: shoal resume {place.run}\n"
    assert re.search(message + again + r"\Z", error), error
    assert "Traceback" not in error
    assert "Exception ignored" not in error


def check_nothing_failed(folder: Path) -> None:
    """Trials that were running when the disk was full are running still."""
    told = trials_in(folder / "first")
    assert told.counts()["failed"] == 0
    assert told.counts()["running"] >= 1
    assert told.ended is None or told.ended.reason == "error"


def check_resumed(folder: Path, trials: int) -> None:
    """Once there was room, the run went on from what its journal said, to its end."""
    assert (folder / "second.code").read_text() == "0\n", (folder / "second.err").read_text()
    first = read_journal(folder / "first" / "journal.jsonl")
    assert read_journal(folder / "second" / "journal.jsonl")[: len(first)] == first
    check_whole(folder / "second", trials)
    check_optuna_log(folder / "second")


@needs_mount
@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_a_search_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(
    name: str, tmp_path: Path
) -> None:
    place = PLACES[name]
    begun(tmp_path, place)
    on_small_disk(tmp_path, place, f"resume {place.run}", f"resume {place.run}")
    check_told(tmp_path, place)
    check_nothing_failed(tmp_path)
    check_resumed(tmp_path, place.trials)


@needs_mount
@pytest.mark.slow
def test_a_search_with_all_its_files_on_a_disk_that_gets_full_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    place = Place(300, r"\S.*", run="disk/run", saved=30000)
    file = experiment_file(tmp_path, place)
    on_small_disk(tmp_path, place, f"search {file} --run {place.run}", f"resume {place.run}")
    check_told(tmp_path, place)
    check_nothing_failed(tmp_path)
    check_resumed(tmp_path, trials=8)


@needs_mount
@pytest.mark.slow
def test_a_full_disk_of_logs_costs_lines_and_no_trial(tmp_path: Path) -> None:
    place = Place(16, "", disk="run/logs", printed=3000)
    begun(tmp_path, place)
    on_small_disk(tmp_path, place, "resume run", "status run")
    assert (tmp_path / "first.code").read_text() == "0\n", (tmp_path / "first.err").read_text()
    check_whole(tmp_path / "first", trials=8)
    logs = list((tmp_path / "first" / "logs").iterdir())
    assert 0 < sum(log.stat().st_size for log in logs) <= 16 * 1024


@needs_mount
@pytest.mark.slow
def test_a_search_that_could_not_begin_for_a_full_disk_does_not_speak_of_resuming(
    tmp_path: Path,
) -> None:
    fill = "head -c 4096 /dev/zero > disk/ballast"
    place = Place(4, "", prepare=fill, run="disk/run", trials=1)
    file = experiment_file(tmp_path, place)
    on_small_disk(tmp_path, place, f"search {file} --run {place.run}", f"resume {place.run}")
    assert (tmp_path / "first.code").read_text() == "1\n"
    told = (tmp_path / "first.err").read_text()
    assert told == "error: disk/run can't be written: No space left on device\n"
    assert "resume" not in told


APPENDS = """
import resource, sys
from pathlib import Path
from analysis.record.events import Created, Ended
from analysis.record.journal import Journal
from analysis.record.trials import Trials

most = int(sys.argv[2])
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
journal = Journal(Path(sys.argv[1]))
journal.check = Trials().apply
for number in range(1000):
    try:
        journal.append(Created(trial=number, params={"x": 0.5}, seed=7))
    except OSError as error:
        print(number, error.strerror, error.filename == sys.argv[1])
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    journal.append(Ended(reason="error"))
except OSError as error:
    print("refused")
journal.close()
"""


@pytest.mark.parametrize("most_bytes", [1000, 4096])
def test_a_journal_that_can_be_written_no_further_ends_with_a_whole_line_and_takes_no_more(
    most_bytes: int, tmp_path: Path
) -> None:
    file = tmp_path / "events"
    appending = python("-c", APPENDS, str(file), str(most_bytes))
    out, error = appending.communicate(timeout=DEADLINE_SECONDS)
    full = r"\d+ (No space left on device|File too large) True\nrefused\n"
    assert re.fullmatch(full, out), error
    assert len(read_journal(file)) == int(out.split()[0])


@needs_mount
def test_a_journal_on_a_full_disk_ends_with_a_whole_line_and_takes_no_more(tmp_path: Path) -> None:
    (tmp_path / "append.py").write_text(APPENDS)
    mount = "mkdir disk; mount -t tmpfs -o size=8k tmpfs disk"
    append = f"{sys.executable} append.py disk/events 0"
    script = f"cd {tmp_path}; {mount}; {append}; cp disk/events ."
    out, error = process("unshare", "-Urm", "bash", "-c", script).communicate(
        timeout=DEADLINE_SECONDS
    )
    assert re.fullmatch(r"\d+ No space left on device True\nrefused\n", out), error
    assert len(read_journal(tmp_path / "events")) == int(out.split()[0]) > 50
