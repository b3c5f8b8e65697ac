"""Experiment files: reading, ``--set``, numbers as YAML users write them, and studies."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
import yaml

from spaces import InputError, load_experiment, save_experiment, studies
from spaces.files import dump_yaml, read_mapping
from spaces.settings.train import Train
from spaces.text import parse_yaml

OWN_CODE = Path(__file__).with_name("own_code.py")
TEXT = """
name: small
dataset: {name: digits}
model: {hidden: [8, 4]}
train: {lr: 1e-2}
space: {lr: {low: 1e-4, high: 1, log: true}, norm: [none, batch]}
budget: {trials: 3}
"""


def file_with(folder: Path, text: str = TEXT) -> Path:
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def message_of(path: str | Path, *changes: str) -> str:
    with pytest.raises(InputError) as caught:
        load_experiment(path, changes)
    return str(caught.value)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "+1e-4", "1.0e-4", "0.0001", "1.e-4"])
def test_a_number_is_read_as_the_user_meant_it(tmp_path: Path, text: str) -> None:
    experiment = load_experiment(file_with(tmp_path), [f"train.lr={text}"])
    assert experiment.train == Train(lr=1e-4)


def test_a_quoted_number_stays_a_text_through_a_round_trip(tmp_path: Path) -> None:
    text = f"name: q\ntrainable: {OWN_CODE}:train\nspace: {{x: ['1e-4', b]}}\nbudget: {{trials: 1}}"
    experiment = load_experiment(file_with(tmp_path, text))
    save_experiment(experiment, tmp_path / "again.yaml")
    assert load_experiment(tmp_path / "again.yaml").search_space.distributions == (
        experiment.search_space.distributions
    )
    assert experiment.search_space.problems_with({"x": "1e-4"}) == []


def test_every_study_survives_a_round_trip_through_a_file(tmp_path: Path) -> None:
    for name in studies():
        experiment = load_experiment(name)
        save_experiment(experiment, tmp_path / "again.yaml")
        assert load_experiment(tmp_path / "again.yaml") == experiment


def test_a_change_replaces_what_the_file_says(tmp_path: Path) -> None:
    changes = ["model.hidden.1=16", "space.lr.high=0.5", "budget={trials: 9}", "seed=4"]
    experiment = load_experiment(file_with(tmp_path), changes)
    assert experiment.model.hidden == [8, 16]
    assert experiment.search_space.parameters["lr"].distribution().high == 0.5
    assert (experiment.budget.trials, experiment.seed) == (9, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "--set: must look like a.b=value, got 'seed'"),
        ("=4", "--set: must look like a.b=value, got '=4'"),
        ("seed=[", "--set: the value of seed is no YAML in line 1: "),
        ("seed=2024-13-45", "got the tag !!timestamp (a date is quoted), got '2024-13-45'"),
        ("name.first=a", "--set: name.first: name holds 'small', no mapping"),
        ("model.hidden.7=4", "--set: model.hidden.7: there is no entry '7'"),
        ("sede=1", "--set: sede: unknown key 'sede' (did you mean 'seed'?)"),
        ("train.rate=1", "train.rate: unknown key 'rate'"),
        ("train.schedule.gama=1", "train.schedule.gama: unknown key 'gama'"),
        ("train.lr=fast", "train.lr: must be a number, got 'fast'"),
        ("resources.gpus=1.5", "resources.gpus: a trial has a share of one GPU"),
    ],
)
def test_a_change_that_leads_nowhere_is_told(tmp_path: Path, change: str, message: str) -> None:
    assert message in message_of(file_with(tmp_path), change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold a mapping, got NoneType"),
        ("- a\n- b", "must hold a mapping, got list"),
        ("just a text", "must hold a mapping, got str"),
        ("name: [", "is no YAML"),
        ("name: a\nname: b", "the key 'name' stands twice"),
        ("space: {lr: [1], lr: [2]}", "the key 'lr' stands twice"),
        ("name: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("name: a\nbudget: {trials: 1}\nseed: -1", "seed: must be at least 0, got -1"),
    ],
)
def test_a_file_that_is_no_experiment_is_told_by_name(
    tmp_path: Path, text: str, message: str
) -> None:
    path = file_with(tmp_path, text)
    told = message_of(path)
    assert told.startswith(f"{path}: ")
    assert message in told


def test_several_mistakes_stand_on_a_line_each(tmp_path: Path) -> None:
    path = file_with(tmp_path, TEXT + "seed: -1\nmax_failures: many\n")
    assert message_of(path).splitlines() == [
        f"{path}: 2 mistakes",
        "  seed: must be at least 0, got -1",
        "  max_failures: must be a whole number, got 'many'",
    ]


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "image.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert "cannot be read" in message_of(tmp_path / "image.yaml")


def test_a_folder_is_told_and_the_experiment_of_a_run(tmp_path: Path) -> None:
    assert message_of(tmp_path).endswith(": is a folder, not an experiment file")
    (tmp_path / "experiment.yaml").write_text(TEXT)
    assert message_of(tmp_path).endswith(f"; that of this run is {tmp_path / 'experiment.yaml'}")


def test_an_unknown_study_is_told_with_the_valid_ones() -> None:
    told = message_of("quickstrat")
    assert "unknown study 'quickstrat' (did you mean 'quickstart'?); valid: " in told
    assert all(name in told for name in studies())


def test_code_and_data_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN_CODE.read_text())
    text = "name: own\ntrainable: mine.py:train\nspace: mine.py:space\nbudget: {trials: 1}"
    experiment = load_experiment(file_with(tmp_path, text))
    assert experiment.trainable == f"{tmp_path.resolve()}/mine.py:train"
    (params,) = experiment.search_space.samples(1, seed=0)
    assert experiment.free_settings(params) == params


def test_the_baseline_of_a_python_space_is_checked(tmp_path: Path) -> None:
    text = f"name: py\nspace: {OWN_CODE}:space\nbaseline: {{lr: 5.0}}\nbudget: {{trials: 1}}"
    assert "baseline: " in message_of(file_with(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "number"),
    [(".5e3", 500.0), ("-.5", -0.5), ("1_000", 1000), ("0x1F", 31), ("01e3", 1000.0)],
)
def test_numbers_are_those_of_yaml_1_2(text: str, number: float) -> None:
    assert parse_yaml(f"a: {text}") == {"a": number}


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("1:30", "write a plain decimal number, or '1:30' in quotes for a text"),
        ("12:30:45.5", "write a plain decimal number, or "),
        ("0123", "write a plain decimal number, or '0123' in quotes"),
        ("-0123", "write a plain decimal number, or "),
        ("0_17", "write a plain decimal number, or "),
        ("089", "write a plain decimal number, or "),
        ("0o17", "write a plain decimal number, or "),
        ("0b11", "write a plain decimal number, or "),
        ("!!int '0123'", "write a plain decimal number, or '0123' in quotes"),
        ("[on, off]", "write true, or 'on' in quotes for a text"),
        ("No", "write false, or 'No' in quotes for a text"),
        ("{yes: 1}", "write true, or 'yes' in quotes for a text"),
    ],
)
def test_what_versions_of_yaml_read_differently_is_refused_with_the_way_out(
    tmp_path: Path, text: str, way_out: str
) -> None:
    told = message_of(file_with(tmp_path), f"budget.hours={text}")
    assert "is one thing in YAML 1.1 and another in YAML 1.2" in told
    assert way_out in told


NUMBERLIKE = hypothesis.strategies.text("0123789_.:eE-+xobyns~ ", min_size=1, max_size=6)


@hypothesis.given(NUMBERLIKE)
def test_a_text_like_a_number_is_read_back_as_a_text_by_any_reader(text: str) -> None:
    written = dump_yaml({"text": text, "texts": [text]})
    assert parse_yaml(written) == yaml.safe_load(written) == {"text": text, "texts": [text]}


@pytest.mark.parametrize(
    "text", ["a\x85b", "\u2028", "é", "1e-4", "no", " x ", "0123", "089", "0o17", "1:30", "-.5"]
)
def test_any_text_survives_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(dump_yaml({"text": text, text: 1}), encoding="utf-8")
    assert read_mapping(path) == {"text": text, text: 1}


def test_null_survives_where_it_is_a_value(tmp_path: Path) -> None:
    text = (
        "name: nulls\nbudget: {trials: 1}\n"
        "space: {clip_norm: {choices: [null, 1.0], when: {rule: free}},\n"
        "  rule: {free: {dropout: 0.1}, held: {clip_norm: 2.0}}}\n"
        "baseline: {clip_norm: null, rule: free}\n"
    )
    (tmp_path / "a.yaml").write_text(text)
    experiment = load_experiment(tmp_path / "a.yaml")
    save_experiment(experiment, tmp_path / "b.yaml")
    again = load_experiment(tmp_path / "b.yaml")
    assert again == experiment
    assert again.baseline == {"clip_norm": None, "rule": "free"}
