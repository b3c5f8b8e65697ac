"""What of Optuna we rely on beyond its documentation: each assumption fails with a sentence.

Optuna is pinned to the minor versions with which these passed.
"""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers._tpe import sampler as tpe
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from search.control.tpe_storage import _GOOD, History
from spaces.experiment import Metric


def with_trials(storage: InMemoryStorage, count: int = 3) -> int:
    """A study with running trials; returns its id."""
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "made")
    for _ in range(count):
        storage.create_new_trial(study_id)
    return study_id


def history() -> History:
    return History(Metric(name="score", mode="max"))


@pytest.mark.parametrize(
    "name", ["_studies", "_trial_id_to_study_id_and_number", "_prev_waiting_trial_number"]
)
def test_the_storage_keeps_its_state_in_the_mappings_that_a_draft_copies(name: str) -> None:
    storage = InMemoryStorage()
    study_id = with_trials(storage)
    held = getattr(storage, name, None)
    assert isinstance(held, dict), f"Optuna's InMemoryStorage no longer has the mapping {name}"
    by_trial = name == "_trial_id_to_study_id_and_number"
    keys = {0, 1, 2} if by_trial else {study_id}
    assert held.keys() == keys, f"Optuna's InMemoryStorage keys {name} by something else now"


def test_the_storage_has_no_other_state_that_a_trial_changes() -> None:
    storage = InMemoryStorage()
    known = {"_studies", "_trial_id_to_study_id_and_number", "_prev_waiting_trial_number"}
    constant = {"_study_name_to_id", "_lock"}  # a draft creates no study
    counted = {"_max_study_id", "_max_trial_id"}  # a copy has its own
    new = vars(storage).keys() - known - constant - counted
    assert not new, f"Optuna's InMemoryStorage has new state, which History.draft must copy: {new}"


def test_a_study_keeps_trials_and_distributions_in_containers_that_a_draft_copies() -> None:
    storage = InMemoryStorage()
    study = storage._studies[with_trials(storage)]
    assert isinstance(study.trials, list), "Optuna's study no longer has a list of trials"
    is_mapping = isinstance(study.param_distribution, dict)
    assert is_mapping, "Optuna's study no longer has the mapping param_distribution"
    new = vars(study).keys() - {
        *("trials", "param_distribution", "user_attrs", "system_attrs"),
        *("name", "directions", "best_trial_id"),
    }
    assert not new, f"Optuna's study has new state, which History.draft must copy: {new}"


def _set_parameter(storage: InMemoryStorage) -> None:
    storage.set_trial_param(1, "x", 0.5, FloatDistribution(0.0, 1.0))


CHANGES: dict[str, Any] = {
    "a parameter": _set_parameter,
    "a value": lambda storage: storage.set_trial_intermediate_value(1, 1, 0.5),
    "an attribute": lambda storage: storage.set_trial_system_attr(1, "key", 1),
    "an attribute of the user": lambda storage: storage.set_trial_user_attr(1, "key", 1),
    "an end": lambda storage: storage.set_trial_state_values(1, TrialState.COMPLETE, [1.0]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_setting_a_field_replaces_the_trial_and_leaves_the_old_one_as_it_was(what: str) -> None:
    storage = InMemoryStorage()
    study_id = with_trials(storage)
    before = storage._studies[study_id].trials[1]
    held = repr(before)
    CHANGES[what](storage)
    after = storage._studies[study_id].trials[1]
    assert after is not before, f"Optuna no longer replaces a trial when {what} is set"
    assert repr(before) == held, f"Optuna now changes a trial in place when {what} is set"


@pytest.mark.parametrize("what", [*CHANGES, "a new trial"])
def test_a_draft_leaves_its_storage_untouched(what: str) -> None:
    storage = history()
    study_id = with_trials(storage)
    before = repr(storage.get_all_trials(study_id)), dict(storage._trial_id_to_study_id_and_number)
    draft = storage.draft()
    if what == "a new trial":
        draft.create_new_trial(study_id)
    else:
        CHANGES[what](draft)
    assert draft.get_all_trials(study_id) != storage.get_all_trials(study_id)
    after = repr(storage.get_all_trials(study_id)), dict(storage._trial_id_to_study_id_and_number)
    assert after == before, f"{what} in a draft has changed its storage"


def test_tpe_notes_what_it_would_have_proposed_under_the_name_that_we_leave_out() -> None:
    told = "Optuna's TPE no longer notes its proposals as tpe:relative_params"
    assert getattr(tpe, "_RELATIVE_PARAMS_KEY", "").startswith("tpe:relative_params"), told
    noted: list[str] = []

    class Listening(InMemoryStorage):
        def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
            noted.append(key)
            super().set_trial_system_attr(trial_id, key, value)

    sampler = optuna.samplers.TPESampler(n_startup_trials=1, multivariate=True, constant_liar=True)
    study = optuna.create_study(storage=Listening(), sampler=sampler)
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0.0, 1.0))
    assert any(key.startswith("tpe:relative_params") for key in noted), told


def test_tpe_learns_from_at_most_so_many_good_trials_as_are_always_shown() -> None:
    most = max(tpe.default_gamma(count) for count in (10, 250, 300, 10**6))
    assert most == _GOOD, f"Optuna's TPE learns from {most} good trials now, not {_GOOD}"
