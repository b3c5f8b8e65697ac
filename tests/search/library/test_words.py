"""Who calls Shoal from Python is told of arguments and functions, not of flags and commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search import load, resume, run
from search.library.words import pythons_words
from spaces import InputError
from spaces.problems import Problem, RunError


def distance(config: dict[str, Any], context: Any) -> dict[str, float]:
    return {"val_loss": config["x"]}


def searched(folder: Path, train: Any = distance) -> Any:
    space = {"x": {"low": 0.0, "high": 1.0}}
    return run(
        train, space=space, metric="val_loss", trials=2, folder=folder, engine="inline", show=False
    )


def test_arguments_are_named_instead_of_flags(tmp_path: Path) -> None:
    found = searched(tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for call, told in [
        (lambda: searched(tmp_path / "full"), "folder: "),
        (lambda: searched(tmp_path / "run"), f"go on with: resume('{tmp_path / 'run'}')"),
        (lambda: found.export(tmp_path / "full"), "folder: "),
        (lambda: found.export(tmp_path / "model", trial=7), "trial: the run has no trial 7"),
        (lambda: found.load_state(trial=7), "trial: the run has no trial 7"),
        (lambda: resume(found.path, show=False), "trials or hours extends it"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert told in str(caught.value)
        assert " -" not in f" {caught.value}"
        assert "shoal " not in str(caught.value)


def test_a_first_failure_names_the_argument_that_goes_on(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        raise ValueError("--epochs is my own")

    with pytest.raises(RunError) as caught:
        searched(tmp_path / "run", train)
    told = str(caught.value)
    assert "(keep_going=True counts them as failed, and searches on)" in told
    assert f"go on with: resume('{tmp_path / 'run'}')" in told
    assert '    raise ValueError("--epochs is my own")' in told  # the user's line, as it is


def test_a_metric_is_asked_for_as_an_argument(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        return {"reward": 1.0}

    with pytest.raises(InputError) as caught:
        run(train, trials=1, folder=tmp_path / "run", engine="inline", show=False)
    told = str(caught.value)
    assert "unknown metric 'val_accuracy'; valid: reward" in told
    assert 'which is val_accuracy if none is named; name one, such as metric="reward"' in told
    with pytest.raises(InputError) as caught:
        run(train, metric="speed", trials=1, folder=tmp_path / "other", engine="inline", show=False)
    assert 'or max, such as metric={"name": "speed", "mode": "max"}' in str(caught.value)


def test_the_places_of_mistakes_stay(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, pythons_words():
        raise InputError([Problem("space.lr", "see --run")], "-o")
    assert caught.value.problems == (Problem("space.lr", "see folder"),)
    assert caught.value.source == "folder"
    with pytest.raises(InputError, match="is no run folder"):
        load(tmp_path / "none")
