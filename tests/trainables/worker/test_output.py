"""What a worker prints: one pair of streams for its life, in the log of the trial that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT
from trainables.worker.output import Echo

KEPT = """
import ctypes, logging, os, subprocess, sys, threading
from trainables.worker.output import Printing

first, second = sys.argv[1:]
printing = Printing()
print("before all")
printing.open(first)
logging.basicConfig(level=logging.INFO)
out, err = sys.stdout, sys.stderr
print("epoch 1", end="")
out.close()
sys.stdout = open(os.devnull, "w")  # of the code's own, and not for the next trial
printing.open(second)
print("epoch 2 \\udcff")
logging.info("logged")
err.write("unended")
out.write("kept\\n")
os.system("echo by a shell")
subprocess.run([sys.executable, "-c", "print('by a child')"])
ctypes.CDLL(None).printf(b"by C\\n")
thread = threading.Thread(target=print, args=("by a thread",))
thread.start()
thread.join()
assert printing.take() == ""
printing.close()
print("after all")
"""
ELSEWHERE = """
import os, sys
from trainables.worker.output import Printing

printing = Printing()
printing.open(sys.argv[1])
print("naïve")
os.system("echo by a shell")
assert printing.take() == "naïve\\nby a shell\\n", printing.take()
print("more", file=sys.stderr)
assert printing.take() == "more\\n"
assert printing.take() == ""
printing.open(sys.argv[1])
assert printing.take() == ""
os.write(printing.traces_to, b"last words")
"""
FULL = """
import sys
from trainables.worker.output import Printing

printing = Printing()
printing.open("/dev/full")
for _ in range(3):
    print("lost" * 10000)
    sys.stderr.write("lost")
    sys.stdout.flush()
printing.take()
printing.open(sys.argv[1])
print("not lost")
printing.close()
"""


def run(text: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def test_a_thread_may_print_while_the_log_is_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = Echo()
    echo.open(str(tmp_path / "log"))
    with echo.capturing():
        held = sys.stdout
        echo.close()  # as between the two steps of a print
        print("still shown")
    print("as ever", file=held)
    assert capsys.readouterr().out == "still shown\nas ever\n"
    assert (tmp_path / "log").read_text() == ""


def test_whoever_prints_it_is_in_the_log_of_the_trial_that_runs(tmp_path: Path) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    ended = run(KEPT, first, second)
    assert (ended.stdout, ended.stderr) == ("before all\nafter all\n", "")
    assert first.read_text() == "epoch 1"
    lines = ["epoch 2 \\udcff", "INFO:root:logged", "by a child", "by a shell", "by C"]
    assert all(line in second.read_text() for line in [*lines, "by a thread", "unended", "kept"])


def test_where_the_log_cannot_be_written_the_text_is_handed_over(tmp_path: Path) -> None:
    ended = run(ELSEWHERE, tmp_path / "no" / "folder" / "1.txt")
    assert ended.stderr == "last words"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_loses_lines_and_no_training(tmp_path: Path) -> None:
    ended = run(FULL, tmp_path / "1.txt")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert (tmp_path / "1.txt").read_text() == "not lost\n"
