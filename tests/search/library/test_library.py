"""``run``, ``resume`` and ``load``: a search from Python."""

from __future__ import annotations

import contextlib
import enum
import io
import itertools
import os
import pkgutil
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.record.events import Changed
from search import load, resume, run
from search.library.result import BestTrial
from search.signals import stoppable
from search.transport.inline import Inline
from spaces import Experiment, InputError
from spaces.interruptions import Switched
from spaces.parameters import Choice, Float
from spaces.problems import RunError
from tests.support import examples
from tests.support.invariants import events_of
from tests.support.source import ROOT

SPACE = {"x": {"low": -1.0, "high": 1.0}}
DIGITS: dict[str, Any] = {
    "name": "small",
    "model": {"family": "mlp", "hidden": [8]},
    "space": {"lr": {"low": 1e-3, "high": 1.0, "log": True}},
    "scheduler": {"max_epochs": 3},
    "budget": {"trials": 4},
    "engine": "inline",
}


def parabola(config: dict[str, Any], context: Any) -> None:
    """A function of a module."""
    for epoch in range(context.epoch, context.max_epochs):
        context.save(epoch)
        context.report({"val_loss": config["x"] ** 2 + 1 / (epoch + 1)})


def searched(folder: Path, what: Any = parabola, **settings: Any) -> Any:
    options = {"space": SPACE, "metric": "val_loss", "trials": 6, "max_epochs": 9}
    return run(what, folder=folder, engine="inline", show=False, **{**options, **settings})


def surroundings() -> tuple[Any, ...]:
    """What a search may change of this process, and must give back."""
    return (
        dict(os.environ),
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        Path.cwd(),
        torch.get_num_threads(),
        sys.stdout,
    )


@contextmanager
def nothing_stays() -> Iterator[None]:
    """No signal handler, environment variable, folder or stream of this process is changed."""
    before = surroundings()
    yield
    assert surroundings() == before


def test_a_function_of_a_module_is_searched_by_its_file(tmp_path: Path) -> None:
    with nothing_stays():
        found = searched(tmp_path / "run")
    assert found.experiment.trainable == f"{Path(__file__)}:parabola"
    assert not (tmp_path / "run" / "code").exists()
    assert found.experiment.name == "parabola"
    assert found.state == "finished"
    assert len(found.trials) == 6
    assert list(found.trials["trial"]) == [*range(6)]
    assert len(found.curves) == found.trials["epoch"].sum()
    best = found.best
    assert isinstance(best, BestTrial)
    assert best.value == found.trials["value"].min()
    assert best.params == {"x": found.trials["params.x"][best.trial]}
    assert f"best: trial {best.trial}" in repr(found)
    assert found.load_state() == best.epoch - 1


def test_a_function_inside_of_another_is_searched_by_value(tmp_path: Path) -> None:
    shift = np.array([0.5, 1, None])

    def train(config: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
        yield from ({"val_loss": shift[0] + config["x"]} for _ in range(3))

    def space(trial: Any) -> dict[str, Any]:
        return {"x": trial.suggest_float("x", 0, 1)}

    found = searched(tmp_path / "run", train, space=space)
    kept = [(found.path / "code" / f"given_{name}.py").read_text() for name in ("train", "space")]
    assert "def train(config" in kept[0]
    assert "shift (an array of objects)" in kept[0]
    assert "def space(trial" in kept[1]
    again = resume(found.path, train, trials=2, show=False)
    assert len(again.trials) == 8
    assert again.confirm(top=1, seeds=2).winner.trial == again.best.trial
    assert (again.export(tmp_path / "bundle") / "code").is_dir()
    with pytest.raises(InputError, match=r"shift \(an array of objects\): used by"):
        resume(found.path, trials=2, show=False)


def test_a_kept_source_runs_without_the_function(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        return {"val_loss": config["x"]}

    found = searched(tmp_path / "run", train)
    assert len(resume(found.path, trials=2, show=False).trials) == 8
    found.path.rename(tmp_path / "moved")
    assert len(resume(tmp_path / "moved", trials=2, show=False).trials) == 10
    assert len(resume(tmp_path / "moved", train, trials=2, show=False).trials) == 12
    (tmp_path / "moved").rename(tmp_path / "again")
    assert load(tmp_path / "again").confirm(top=1, seeds=2) is not None
    assert load(tmp_path / "again").export(tmp_path / "bundle").is_dir()


def test_another_function_is_told_as_a_change(tmp_path: Path) -> None:
    def version(bonus: float) -> Any:
        def train(config: dict[str, Any], context: Any) -> dict[str, float]:
            return {"val_loss": config["x"] + bonus}

        return train

    found = searched(tmp_path / "run", version(0.0))
    resume(found.path, version(0.0), trials=1, show=False)
    assert not [*events_of(found.path, Changed)]
    resume(found.path, version(9.0), trials=1, show=False)
    assert len([*events_of(found.path, Changed)]) == 1
    file = found.path / "code" / "given_train.py"
    kept = file.read_text()
    assert "bonus = 9.0" in kept
    assert "bonus = 0.0" in file.with_stem("given_train-earlier").read_text()
    with pytest.raises(InputError, match="strict=True"):
        resume(found.path, version(8.0), trials=1, strict=True, show=False)
    assert file.read_text() == kept


@pytest.mark.parametrize("kind", [dict, Experiment.model_validate])
def test_an_experiment_and_its_data_are_searched(tmp_path: Path, kind: Any) -> None:
    found = run(kind(DIGITS), set={"budget.trials": 3}, folder=tmp_path / "run", show=False)
    assert len(found.trials) == 3
    assert isinstance(found.load_model(), torch.nn.Module)
    assert found.load_model(trial=0)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert found.report().name == "report.html"
    assert load(found.path).best == found.best


def test_a_file_with_what_is_said_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("name: mine\nengine: inline\nmodel: {hidden: [8]}\nbudget: {trials: 9}\n")
    found = run(
        file,
        space={"lr": Float(low=1e-3, high=1e-1, log=True), "dropout": [0.0, 0.5]},
        baseline={"lr": np.float64(0.01), "dropout": 0.0},
        trials=2,
        max_epochs=1,
        folder=tmp_path / "run",
        show=False,
    )
    assert found.experiment.name == "mine"
    assert found.trials["params.lr"][0] == 0.01
    assert len(found.trials) == 2


class Kind(enum.StrEnum):
    A = "a"
    B = "b"


def test_numbers_and_texts_of_numpy_s_and_of_enums_are_python_s_own(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        kinds = [type(config[name]) for name in ("lr", "width", "kind", "act", "made")]
        assert kinds == [float, int, str, str, float]
        return {"val_loss": config["lr"] * config["made"]}

    space = {
        "lr": np.logspace(-4, -1, 4),
        "width": list(np.array([8, 16])),
        "kind": list(Kind),
        "act": tuple(np.array(["relu", "tanh", "elu"])),
        "made": Choice(choices=[*np.linspace(0, 1, 3)]),
    }
    baseline = {"lr": 1e-4, "width": 8, "kind": "a", "act": "relu", "made": np.float64(0.5)}
    found = searched(tmp_path / "run", train, space=space, baseline=baseline, trials=np.int64(3))
    assert len(resume(found.path, train, trials=np.int64(2), show=False).trials) == 5
    assert found.confirm(top=np.int64(1), seeds=2) is not None
    with pytest.raises(InputError, match="trial: the run has no trial True; its trials are 0 to 4"):
        load(found.path).export(tmp_path / "bundle", trial=True)


def test_settings_in_the_form_of_the_command_line_are_refused() -> None:
    with pytest.raises(InputError, match="set: must map places to values, such as"):
        run(DIGITS, set=["budget.trials=3"])  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_function_that_fails_for_few_draws_ends_the_search_with_a_message(
    tmp_path: Path,
) -> None:
    def fails(trial: Any) -> None:
        if trial.suggest_float("x", 0, 1) > 0.99:
            raise IndexError("too far")

    def draws_tuples(trial: Any) -> None:
        if trial.suggest_float("x", 0, 1) > 0.99:
            trial.suggest_categorical("sizes", [(64,), (128,)])

    failed = rf"the function of the space failed in {__file__}, line \d+: IndexError: too far"
    choices = "the function of the space: the choices of sizes: "
    for space, told in ((fails, failed), (draws_tuples, choices)):
        with pytest.raises(RunError, match=told):
            searched(tmp_path / space.__name__, space=space, trials=2000, max_epochs=1)


def test_a_stop_returns_what_was_found_until_then(tmp_path: Path) -> None:
    count = 0

    def train(config: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
        nonlocal count
        for epoch in range(context.max_epochs):
            count += 1
            if count == 20:
                signal.raise_signal(signal.SIGINT)
            context.save(epoch)
            yield {"val_loss": config["x"] + epoch}

    with nothing_stays():
        found = searched(tmp_path / "run", train, set={"scheduler.name": "none"})
    assert found.state == "interrupted"
    assert 0 < len(found.trials) < 6
    whole = resume(found.path, train, show=False)
    assert (whole.state, len(whole.trials)) == ("finished", 6)


@pytest.mark.parametrize("count", [3, 4, 7, 8])
@pytest.mark.parametrize(
    "switch",
    [
        "spaces.project._take_out",
        "trainables.user_code.training.random_state",
        "trainables.worker.output._Tee.put",
    ],
)
def test_a_stop_leaves_the_process_in_no_world_between_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, count: int
) -> None:
    """A signal comes amid a switch to own code, or back from it."""
    (tmp_path / "analysis.py").write_text("SCORE = 1")
    code = "import analysis\ndef f(config, context):\n    for epoch in range(30):\n"
    (tmp_path / "mine.py").write_text(f"{code}        yield {{'score': analysis.SCORE}}\n")
    before = (sys.modules["__main__"], sys.modules["analysis"], [*sys.meta_path], [*sys.argv])
    drawn = random.getstate()
    real, calls = pkgutil.resolve_name(switch), itertools.count(1)

    def interrupted(*arguments: Any) -> Any:
        found = real(*arguments)
        if next(calls) == count:
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(switch, interrupted)
    own = {"name": "own", "trainable": f"{tmp_path}/mine.py:f", "metric": {"name": "score"}}
    with nothing_stays():
        found = run(own, trials=3, engine="inline", folder=tmp_path / "run", show=False)
    assert found.state == "interrupted"
    assert (sys.modules["__main__"], sys.modules["analysis"]) == before[:2]
    assert (sys.meta_path, sys.argv) == before[2:]
    assert random.getstate() == drawn
    assert resume(found.path, show=False).state == "finished"


@pytest.mark.parametrize("ending", ["returns", "raises", "reports"])
def test_code_that_handles_a_stop_itself_reports_no_half_epoch(tmp_path: Path, ending: str) -> None:
    stops = [True]

    def train(config: dict[str, Any], context: Any) -> None:
        for epoch in range(context.epoch, context.max_epochs):
            try:
                if epoch == 2 and stops and stops.pop():
                    signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                if ending == "reports":
                    context.report({"val_loss": 100.0})
                if ending == "raises":
                    raise RuntimeError("interrupted") from None
                return
            context.save(epoch)
            context.report({"val_loss": config["x"]})

    found = searched(tmp_path / "run", train, trials=1)
    assert (found.state, [*found.trials["state"]]) == ("interrupted", ["running"])
    assert found.curves["value"].max() < 100
    assert [*resume(found.path, train, show=False).trials["epoch"]] == [9]


def test_code_may_report_while_it_prints_elsewhere(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as held:
            for _ in range(context.max_epochs):
                print("an epoch")
                context.report({"val_loss": config["x"] - len(held.getvalue())})

    before = sys.stdout
    found = searched(tmp_path / "run", train)
    assert sys.stdout is before
    assert found.curves["value"].min() < -70  # all went to one place, epoch after epoch


def test_a_module_that_hides_a_package_of_shoal_is_named(tmp_path: Path) -> None:
    (tmp_path / "analysis.py").touch()
    run_it = [sys.executable, "-c", "from search import run"]
    path = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        run_it, cwd=tmp_path, env=path, check=False, capture_output=True, text=True
    )
    assert f"{tmp_path}/analysis.py hides the package analysis of Shoal" in done.stderr


def test_a_second_stop_is_an_exception(tmp_path: Path) -> None:
    controller = examples.coordinator(tmp_path)
    with nothing_stays(), stoppable(controller, Inline(), "again"):
        signal.raise_signal(signal.SIGINT)
        assert controller.is_interrupted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_second_stop_waits_for_a_switch_to_end(tmp_path: Path) -> None:
    transport, done = Inline(), []
    transport._is_training = True  # as while it takes a step

    def leave(_: None) -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("left")

    with stoppable(examples.coordinator(tmp_path), transport, "again"):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), Switched(lambda: None, leave):
            pass
    assert done == ["left"]


def test_a_search_runs_in_a_thread_of_a_program(tmp_path: Path) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(searched(tmp_path / "run")))
    thread.start()
    thread.join()
    assert len(found[0].trials) == 6


def test_code_that_fails_at_once_leaves_its_error(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> None:
        raise ValueError("no such thing")

    with nothing_stays(), pytest.raises(RunError, match="no such thing"):
        searched(tmp_path / "run", train)


def lists(config: dict[str, Any], context: Any) -> None:
    """Never called."""


@pytest.mark.parametrize(
    ("what", "settings", "rule"),
    [
        (3, {}, "what: must be a file, the name of a study, an Experiment, a mapping or a func"),
        (lambda c, x: None, {}, "what: must be a function with a name, made by def; got a lambda"),
        (lists, {"space": lambda t: None}, "space: must be a function with a name"),
        (lists, {"space": {"x": object()}}, "space.x: must hold texts, numbers, lists and map"),
        (lists, {"space": {"x": {"low": 2, "high": 1}}}, "space.x"),
        (lists, {"space": {"x": (1e-3, 1.0)}}, "space.x: a tuple may be meant as a range or as"),
        (lists, {"set": {"space.x": (1, 2)}}, 'a range is {"low": 1, "high": 2}, a list is cho'),
        (lists, {"set": {"space": {"x.y": (1, 2)}}}, "space.x.y: a tuple may be meant as a range"),
        (lists, {"metric": "quality"}, "say which values of 'quality' are better: min or max"),
        (lists, {"trials": None}, "budget: needs one of trials"),
        (lists, {"trials": 0}, "budget.trials"),
        (
            lists,
            {"set": {"traim.lr": 1}},
            "set: traim.lr: unknown key 'traim'",
        ),
        (lists, {"baseline": {"y": 1}}, "baseline"),
        (lists, {"name": "../x"}, "name"),
        ("no-such-study", {}, "neither a file nor a study"),
        ("no/such.yaml", {}, "there is no such file"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(
    tmp_path: Path, what: Any, settings: dict[str, Any], rule: str
) -> None:
    with nothing_stays(), pytest.raises(InputError) as caught:
        searched(tmp_path / "run", what, **settings)
    assert rule in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_resume_says_which_function_a_run_needs(tmp_path: Path) -> None:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        return {"val_loss": config["x"]}

    def space(trial: Any) -> dict[str, Any]:
        return {"x": trial.suggest_float("x", 0, 1)}

    def other(config: dict[str, Any], context: Any) -> None: ...

    by_value = searched(tmp_path / "value", train, space=space).path
    by_file = searched(tmp_path / "file").path
    built_in = run(DIGITS, folder=tmp_path / "digits", show=False).path
    for call, rule in [
        (
            lambda: resume(by_value, other, space=space, trials=1),
            "the run's function is train",
        ),
        (lambda: resume(by_value, parabola, trials=1), "of a notebook or a script; got /"),
        (lambda: resume(by_file, train, trials=1), "parabola; leave it out; if the file has moved"),
        (
            lambda: resume(by_file, space=space, trials=1),
            "no such function; it lists",
        ),
        (lambda: resume(built_in, train, trials=1), "no such function; it trains built-in models"),
        (lambda: resume(by_value, trials=-1), "trials: must be a whole number from 0, got -1"),
        (lambda: resume(by_value, trials=1, engine="x"), "engine: unknown engine 'x'"),
        (lambda: resume(by_value, 3, trials=1), "train: must be a function, got 3"),
        (lambda: resume(tmp_path, trials=1), "is no run folder"),
        (lambda: load(tmp_path / "nothing"), "is no run folder"),
        (lambda: load(by_file).load_model(), "of your own code: load_state has what that saved"),
        (lambda: load(built_in).load_state(), "of built-in models: load_model gives one"),
        (
            lambda: load(by_value).load_state(),
            "saved no state at epoch 1; call context.save before",
        ),
        (lambda: load(by_file).load_state(trial=99), "the run has no trial 99"),
        (lambda: load(by_file).confirm(seeds=1), "seeds"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert rule in str(caught.value)
    assert len(resume(by_file, parabola, trials=1, show=False).trials) == 7
