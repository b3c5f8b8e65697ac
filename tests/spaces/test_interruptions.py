"""An interruption cuts no switch between two worlds in two."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

import spaces.project
from spaces.code import load_function
from spaces.interruptions import interrupt, switched


@pytest.mark.parametrize("when", ["enter", "within", "leave"])
def test_it_comes_when_the_switch_is_done(when: str) -> None:
    done: list[str] = []

    def step(name: str) -> None:
        if name == when:
            interrupt()
        done.append(name)

    def leave(held: str) -> None:
        assert held == "world"
        step("leave")

    def enter() -> str:
        step("enter")
        return "world"

    with pytest.raises(KeyboardInterrupt), switched(enter, leave):
        step("within")
    assert done == ["enter", *(["within"] if when == "leave" else []), "leave"]
    with pytest.raises(KeyboardInterrupt):
        interrupt()  # nothing of it has stayed
    with switched(lambda: None, lambda _: None):
        pass


@pytest.mark.parametrize("which", [0, 1], ids=["as own code begins", "as it hands back"])
def test_the_world_of_own_code_is_taken_down_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    (tmp_path / "analysis.py").touch()
    (tmp_path / "mine.py").write_text("import analysis\ndef f():\n    return analysis\n")
    f = load_function(f"{tmp_path}/mine.py:f")
    take_out = spaces.project._take_out
    calls = iter(range(10))

    def interrupted(names: set[str]) -> dict[str, object]:
        if next(calls) == which:
            interrupt()
        return {**take_out(names)}

    before = surroundings()
    monkeypatch.setattr(spaces.project, "_take_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        f()
    assert surroundings() == before
    assert f().__file__ == str(tmp_path / "analysis.py")
    assert surroundings() == before


def surroundings() -> tuple[object, ...]:
    modules = [sys.modules[name] for name in ("__main__", "analysis", "spaces")]
    return (*modules, [*sys.argv], [*sys.meta_path], Path.cwd(), open, random.getstate())
