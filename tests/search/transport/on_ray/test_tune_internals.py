"""What of Ray we rely on beyond its documentation: each assumption fails with a sentence.

Ray is pinned to the minor versions with which these passed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import tune
from ray.exceptions import ActorDiedError
from ray.train._internal.storage import StorageContext
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.search_generator import SearchGenerator

from search.transport import environment
from search.transport.on_ray import tune_internals
from search.transport.on_ray.slots import Slots
from search.transport.on_ray.tune import _Scheduler, _Searcher
from search.transport.on_ray.tuner import Callback, Stopper

RAY = Path(ray.__file__).parent


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TuneTrial:
    """A trial of Tune's as its controller makes one, with a folder in a session that is made."""
    session = tmp_path / "artifacts" / "time" / "experiment"
    monkeypatch.setattr(StorageContext, "_get_session_path", lambda self: session.as_posix())
    storage = StorageContext(str(tmp_path / "storage"), "experiment", trial_dir_name="trial")
    made = TuneTrial("made", stub=True, config={"assignment": None}, storage=storage)
    Path(made.local_path).mkdir(parents=True)
    return made


def has(thing: object, *names: str) -> None:
    """See that Ray's thing has what we call."""
    for name in names:
        assert hasattr(thing, name), f"Ray's {thing} no longer has {name}"


def takes(function: Callable[..., Any], *names: str) -> None:
    """See that a function of Ray's takes these arguments, by position or by name."""
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in names:
        is_taken = takes_any or name in parameters
        assert is_taken, f"Ray's {function.__qualname__} no longer takes {name}"


def source(thing: Any) -> str:
    return inspect.getsource(thing)


def test_the_answers_of_a_scheduler_and_of_a_searcher_are_those_that_tune_looks_for() -> None:
    assert tune_internals.CONTINUE == TrialScheduler.CONTINUE != TrialScheduler.STOP
    assert tune_internals.FINISHED == Searcher.FINISHED
    told = "Ray's SearchGenerator no longer ends at Searcher.FINISHED"
    assert "Searcher.FINISHED" in source(SearchGenerator), told


def test_what_a_trial_is_told_stands_in_its_config_and_can_be_replaced(trial: TuneTrial) -> None:
    given: Any = "another"
    tune_internals.give(trial, given)
    told = "Ray's Trial no longer keeps its config as a mapping that can be changed"
    assert tune_internals.assignment_of(trial) == given, told


def test_the_process_of_a_trial_can_be_told_something_between_two_epochs(trial: TuneTrial) -> None:
    given: Any = ["an assignment"]
    tune_internals.begin_with(trial, given)
    assert trial.config["assignments"] == given
    told = "Ray's Trial no longer keeps its process in temporary_state.ray_actor"
    assert hasattr(trial.temporary_state, "ray_actor"), told
    assert "temporary_state.ray_actor = ray_actor" in source(TuneTrial.set_ray_actor), told
    calls: list[Any] = []
    change = SimpleNamespace(remote=lambda *arguments: calls.append(arguments))
    trial.temporary_state.ray_actor = SimpleNamespace(change=change)
    tune_internals.call(trial, "change", [1], [])
    assert calls == [([1], [])]


def test_how_often_a_trial_starts_again_can_be_limited_while_it_runs(trial: TuneTrial) -> None:
    told = "Ray's Trial no longer starts again by num_failures and max_failures"
    tune_internals.limit_restarts(trial, 1)
    trial.handle_error(ActorDiedError())
    assert (trial.num_failures, trial.should_recover()) == (1, True), told
    trial.handle_error(ActorDiedError())
    assert (trial.num_failures, trial.should_recover()) == (2, False), told
    tune_internals.limit_restarts(trial, 2)
    assert trial.should_recover(), told


def test_a_trial_whose_process_died_can_be_given_other_resources_before_it_waits_again(
    trial: TuneTrial,
) -> None:
    trial.status = TuneTrial.ERROR
    tune_internals.reserve(trial, Slots(cpus=2, gpus=0.5).reserved(is_alone=True))
    told = "Ray's Trial no longer takes other resources by update_resources"
    assert trial.placement_group_factory.required_resources == {"CPU": 2, "GPU": 1.0}, told
    requeued = source(TuneController._requeue_trial)
    told = "Ray's TuneController no longer tells the scheduler of an error before a trial waits"
    assert 0 < requeued.find("on_trial_error(") < requeued.find("status=Trial.PENDING"), told
    failed = source(TuneController._process_trial_failure)
    told = "Ray's TuneController no longer notes the error before it starts a trial again"
    assert 0 < failed.find("handle_error(") < failed.find("_try_recover("), told


def test_what_killed_a_process_is_appended_to_a_file_under_a_failure_line(
    trial: TuneTrial,
) -> None:
    told = "Ray's Trial no longer appends 'Failure # …' and the error to error_file"
    assert tune_internals.last_error(trial) == "", told
    for words in ("first\nof two lines", "second\nof two lines"):
        trial.handle_error(tune.TuneError(words))
        assert tune_internals.last_error(trial) == words, told


def test_a_process_that_died_is_told_by_the_line_that_we_look_for(trial: TuneTrial) -> None:
    trial.handle_error(ActorDiedError())
    why = tune_internals.why_it_died(tune_internals.last_error(trial))
    told = "Ray's ActorDiedError no longer begins with 'The actor died unexpectedly'"
    assert why.startswith("its process died: killed"), told


def test_trials_that_wait_are_found_among_the_live_ones_by_their_status(trial: TuneTrial) -> None:
    class Controller:
        def get_live_trials(self) -> set[TuneTrial]:
            return {trial}

    has(TuneController, "get_live_trials")
    told = "Ray's Trial no longer begins with status PENDING"
    assert list(tune_internals.pending(Controller())) == [trial], told
    trial.status = TuneTrial.RUNNING
    assert list(tune_internals.pending(Controller())) == []


def test_a_trials_own_folder_lies_two_below_its_experiments_in_the_session(
    trial: TuneTrial, tmp_path: Path
) -> None:
    told = "Ray no longer puts a trial's files into <experiment>/driver_artifacts/<trial>"
    folder = tune_internals.folder_in_session(trial)
    assert folder == tmp_path / "artifacts" / "time" / "experiment", told


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(_Searcher, Searcher), (_Scheduler, FIFOScheduler), (Callback, tune.Callback)],
)
def test_tune_still_calls_every_method_that_we_override(ours: type, theirs: type) -> None:
    for name, method in vars(ours).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            has(theirs, name)
            passed = [
                parameter.name
                for parameter in inspect.signature(method).parameters.values()
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            ]
            count = len(inspect.signature(getattr(theirs, name)).parameters)
            assert count >= len(passed), f"Ray's {theirs.__name__}.{name} passes fewer arguments"


def test_tune_still_asks_a_stopper_whether_all_shall_stop() -> None:
    has(tune.Stopper, "stop_all", "__call__")
    told = "Ray's TuneController no longer asks Stopper.stop_all"
    assert "stop_all()" in source(TuneController), told
    assert issubclass(Stopper, tune.Stopper)


def test_the_scheduler_chooses_and_tune_tells_callbacks_of_dead_processes() -> None:
    controller = source(TuneController)
    for call in ("choose_trial_to_run(", "on_trial_recover", "on_trial_error", "on_step_end"):
        assert call.rstrip("(") in controller, f"Ray's TuneController no longer calls {call}"


def test_what_we_give_a_tuner_is_still_taken() -> None:
    takes(
        tune.TuneConfig,
        "num_samples",
        "search_alg",
        "scheduler",
        "reuse_actors",
        "trial_name_creator",
        "trial_dirname_creator",
    )
    takes(
        tune.RunConfig,
        "name",
        "storage_path",
        "stop",
        "callbacks",
        "failure_config",
        "checkpoint_config",
        "verbose",
    )
    takes(tune.FailureConfig, "max_failures")
    takes(tune.CheckpointConfig, "checkpoint_at_end")


def test_a_class_gets_its_parameters_and_its_resources() -> None:
    class Made(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any], data: Any = None) -> None:
            pass

    slots = Slots(cpus=2, gpus=0.5)
    asked = tune.with_resources(Made, lambda config: slots.reserved(config["is_alone"]))
    told = "Ray's with_resources no longer gives a class its default_resource_request"
    for is_alone, gpus in ((False, 0.5), (True, 1.0)):
        requested = asked.default_resource_request({"is_alone": is_alone})
        assert requested.required_resources == {"CPU": 2, "GPU": gpus}, told
    takes(tune.with_parameters, "trainable")
    has(tune.Trainable, "setup", "step", "reset_config", "cleanup", "logdir")


@pytest.mark.parametrize("name", [*environment._SETTINGS, environment._CLUSTERS])
def test_ray_still_reads_every_variable_that_we_set(name: str) -> None:
    places = [RAY / package for package in ("_private", "tune", "train", "air")]
    files = (file for place in places for file in place.rglob("*.py"))
    is_read = any(name in file.read_text(encoding="utf-8") for file in files)
    binary = RAY / "core" / "src" / "ray" / "raylet" / "raylet"
    is_read = is_read or name.encode() in binary.read_bytes()
    assert is_read, f"Ray no longer reads {name} from the environment"


@pytest.mark.usefixtures("local_ray")
def test_ray_starts_no_worker_before_one_is_asked_for() -> None:
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    ray.get(ray.remote(num_cpus=0)(lambda: None).remote())
    jobs = {file.stem.split("-")[2] for file in logs.glob("worker-*.out")}
    assert jobs == {ray.get_runtime_context().get_job_id()}, "others are of no job"
