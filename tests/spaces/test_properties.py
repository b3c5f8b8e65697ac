"""Properties of every space and experiment, on randomly generated ones (Hypothesis)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Experiment, SearchSpace, load_experiment, save_experiment
from spaces.checks import parse_experiment
from spaces.files import read_mapping

OWN_CODE = f"{Path(__file__).with_name('own_code.py')}:train"
Plain = dict[str, Any]
NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["1e-4", "no", "null", "3", "0x1", "12e03"]))
SCALARS = st.one_of(
    st.none(), st.booleans(), TEXTS, st.integers(-99, 99), st.floats(-9, 9, allow_subnormal=False)
)


@st.composite
def ranges(draw: st.DrawFn) -> Plain:
    """A range of floats or integers, uniform, logarithmic or in steps."""
    shape = draw(st.sampled_from(["uniform", "log", "step"]))
    numbers: st.SearchStrategy[Any] = draw(
        st.sampled_from(
            [st.integers(1, 1000), st.floats(1e-3, 1e3).map(lambda number: round(number, 4))]
        )
    )
    low, high = sorted((draw(numbers), draw(numbers)))
    extra = {"uniform": {}, "log": {"log": True}, "step": {"step": draw(numbers)}}[shape]
    return {"low": low, "high": high, **extra}


@st.composite
def choices(draw: st.DrawFn) -> Plain:
    """A list of scalars that differ, or names for settings."""
    if draw(st.booleans()):
        held = st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=2)
        return {"choices": draw(st.dictionaries(TEXTS, held, min_size=1, max_size=3))}
    values: list[Any] = []
    for value in draw(st.lists(SCALARS, min_size=1, max_size=4)):
        if value not in values:
            values.append(value)
    return {"choices": values}


@st.composite
def spaces(draw: st.DrawFn) -> Plain:
    """Parameters of which later ones may depend on earlier ones, in any order."""
    space: Plain = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        space[name] = draw(st.one_of(ranges(), choices()))
        if isinstance(space[name].get("choices"), dict):  # no two parameters set one field
            for settings in space[name]["choices"].values():
                for key in list(settings):
                    settings[f"{name}/{key}"] = settings.pop(key)
        parents = [other for other in space if other != name and "choices" in space[other]]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            value = draw(st.sampled_from(list(space[parent]["choices"])))
            space[name]["when"] = {parent: [value]}
    return {name: space[name] for name in draw(st.permutations(list(space)))}


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """An experiment of somebody's own code, with a baseline from its space."""
    plain = {
        "name": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "question": draw(st.none() | TEXTS),
        "trainable": OWN_CODE,
        "train": draw(st.dictionaries(NAMES, SCALARS, max_size=3)),
        "space": draw(spaces()),
        "metric": {
            "name": draw(NAMES),
            "mode": draw(st.sampled_from(["min", "max"])),
            "scope": draw(st.sampled_from(["last", "best"])),
        },
        "sampler": {"name": draw(st.sampled_from(["tpe", "gp", "cmaes", "random", "qmc"]))},
        "scheduler": {"max_epochs": draw(st.integers(1, 99))},
        "budget": {"trials": draw(st.integers(1, 99)), "hours": draw(st.none() | st.just(1e-05))},
        "resources": {"gpus": draw(st.sampled_from(["auto", "pack", 0, 0.25, 1]))},
    }
    experiment = parse_experiment(plain)
    if draw(st.booleans()):
        (baseline,) = experiment.search_space.samples(1, seed=0)
        experiment = parse_experiment({**plain, "baseline": baseline})
    return experiment


def space_of(parameters: Plain) -> SearchSpace:
    code = {"trainable": OWN_CODE, "budget": {"trials": 1}}
    return parse_experiment({"name": "x", "space": parameters, **code}).search_space


@settings(deadline=None, max_examples=30)
@given(parameters=spaces(), seed=st.integers(0, 1000))
def test_whatever_is_drawn_is_valid(parameters: Plain, seed: int) -> None:
    space = space_of(parameters)
    for params in space.samples(5, seed):
        assert space.problems_with(params) == []


@settings(deadline=None, max_examples=30)
@given(parameters=spaces())
def test_whatever_is_drawn_has_the_distributions_that_the_space_states(parameters: Plain) -> None:
    space = space_of(parameters)
    for params in space.samples(5, seed=0):
        for name, value in params.items():
            distribution = space.distributions[name]
            assert distribution._contains(distribution.to_internal_repr(value))


@settings(deadline=None, max_examples=30)
@given(parameters=spaces())
def test_params_survive_a_round_trip_through_yaml(parameters: Plain) -> None:
    params = space_of(parameters).samples(3, seed=0)
    assert yaml.safe_load(yaml.safe_dump(params)) == params


@settings(deadline=None, max_examples=30)
@given(experiment=experiments())
def test_an_experiment_survives_a_round_trip_through_its_file(experiment: Experiment) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiment.yaml"
        save_experiment(experiment, path)
        again = load_experiment(path)
        assert again == experiment
        assert again.search_space.samples(3, 0) == experiment.search_space.samples(3, 0)
        assert read_mapping(path) == experiment.plain()
