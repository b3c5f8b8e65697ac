"""Unknown names are answered with the one that was meant."""

from __future__ import annotations

import pytest

from spaces.problems import unknown_name

FIELDS = ["lr", "batch_size", "weight_decay", "momentum", "optimizer"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learning_rate", "lr"),
        ("learning-rate", "lr"),
        ("LR", "lr"),
        ("bs", "batch_size"),
        ("wd", "weight_decay"),
        ("momentun", "momentum"),
        ("long_run", "lr"),
    ],
)
def test_an_unknown_name_is_answered_with_what_may_be_meant(name: str, meant: str) -> None:
    assert f"(did you mean {meant!r}?)" in unknown_name("field", name, FIELDS)


@pytest.mark.parametrize("name", ["", "x", "learning", "___", "rate_learning"])
def test_a_name_that_is_like_none_gets_no_guess(name: str) -> None:
    assert "did you mean" not in unknown_name("field", name, FIELDS)
