"""An interruption cuts no switch between two worlds in two."""

from __future__ import annotations

import pytest

from spaces.interruptions import Switched, interrupt


@pytest.mark.parametrize("when", ["enter", "within", "leave"])
def test_it_comes_when_the_switch_is_done(when: str) -> None:
    done: list[str] = []

    def step(name: str) -> str:
        if name == when:
            interrupt()
        done.append(name)
        return "world"

    def leave(held: str) -> None:
        assert held == "world"
        step("leave")

    with pytest.raises(KeyboardInterrupt), Switched(lambda: step("enter"), leave):
        step("within")
    assert done == ["enter", *(["within"] if when == "leave" else []), "leave"]
    with pytest.raises(KeyboardInterrupt):
        interrupt()  # nothing of it has stayed
    with Switched(lambda: None, lambda _: None):
        pass


def test_it_waits_for_the_outer_one_of_two_switches() -> None:
    done: list[str] = []

    def enter() -> None:
        with Switched(lambda: done.append("inner"), lambda _: None):
            pass
        interrupt()
        done.append("outer")

    with pytest.raises(KeyboardInterrupt), Switched(enter, lambda _: done.append("left")):
        pytest.fail("it waits no longer")
    assert done == ["inner", "outer", "left"]


def test_a_second_one_does_not_wait() -> None:
    def enter() -> None:
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt()

    with Switched(enter, lambda _: None):
        pass  # and the first has come with it


def test_a_switch_that_fails_leaves_no_interruption_waiting() -> None:
    with pytest.raises(ZeroDivisionError), Switched(lambda: 1 / 0, lambda _: None):
        pytest.fail("nothing to do")
    with pytest.raises(KeyboardInterrupt):
        interrupt()
