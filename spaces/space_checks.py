"""The check of a space: every parameter, their conditions, and what is drawn from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from spaces.code import load_function
from spaces.depth import depth_problems, place_in_file
from spaces.experiment import Experiment
from spaces.overlaps import drawn_overlaps, overlap_problems
from spaces.parameters import MOST_LISTED, Choice, Float, Parameter
from spaces.problems import InputError, Problem, RunError
from spaces.sections import problems_of
from spaces.space import condition_problems

_TAKES = {"trainable": ("config", "context"), "space": ("trial",)}


def function_problems(path: str, reference: str) -> Iterator[Problem]:
    """What is wrong with a function of the user's own: where it is, and what it takes."""
    try:
        function = load_function(reference)
    except InputError as error:
        yield Problem(path, str(error))
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one written in C has none
        return
    try:
        signature.bind(*_TAKES[path])
    except TypeError:
        name = reference.rpartition(":")[2]
        takes = f"def {name}({', '.join(_TAKES[path])})"
        yield Problem(path, f"must be called like {takes}, got def {name}{signature}")


def space_problems(experiment: Experiment, is_whole: bool) -> Iterator[Problem]:
    if isinstance(experiment.space, str):
        problems = list(function_problems("space", experiment.space))
        if problems or is_whole:
            yield from problems or _drawing_problems(experiment)
        return
    problems = list(_parameter_problems(experiment, experiment.space))
    yield from problems
    if not problems and is_whole:
        yield from _drawing_problems(experiment)


def _parameter_problems(
    experiment: Experiment, in_file: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """What is wrong with parameters, each alone and together, with its place in the file."""
    space, is_built_in = experiment.search_space.parameters, experiment.trainable is None
    problems = condition_problems(space)
    problems.extend(_listing_problems(experiment.sampler.name, space))
    is_circle = any(problem.path == "" for problem in problems)
    if is_built_in and not is_circle:
        faulty = {problem.path.split(".when")[0] for problem in problems}
        for name, parameter in space.items():
            if name not in faulty:
                problems.extend(_field_problems(experiment, space, name, parameter))
        problems.extend(depth_problems(in_file, space, experiment.model))
    if not problems:  # so that every name is a field, and every condition sound
        problems.extend(overlap_problems({**in_file, **space}, not is_built_in))
    seen = set()
    for problem in problems:
        place = place_in_file(problem.path, in_file)
        if place == problem.path or place not in seen:  # what holds of each layer is said once
            seen.add(place)
            yield Problem(f"space.{place}".rstrip("."), problem.message)


def _listing_problems(sampler: str, space: Mapping[str, Parameter]) -> Iterator[Problem]:
    """What keeps a sampler that lists all values of a range, in memory, from doing so."""
    for name, parameter in space.items():
        if isinstance(parameter, Choice) or sampler not in ("grid", "gp"):
            continue
        if sampler == "grid" and parameter.log:
            yield Problem(name, "a grid needs choices or a step, not log")
        elif sampler == "grid" and isinstance(parameter, Float) and parameter.step is None:
            yield Problem(name, "a grid needs choices or a step")
        elif parameter.count > MOST_LISTED:
            message = f"{sampler} takes at most {MOST_LISTED} values, got {parameter.count:.0f}"
            yield Problem(name, f"{message}; a larger step makes them fewer")


def _field_problems(
    experiment: Experiment, space: Mapping[str, Parameter], name: str, parameter: Parameter
) -> Iterator[Problem]:
    """Try every choice, or both ends of a range, on the fields that the parameter sets."""
    values: list[tuple[Any, Any]]
    if isinstance(parameter, Choice):
        named = parameter.settings is not None
        keys = parameter.choices if named else range(len(parameter.choices))
        values = list(zip(keys, parameter.choices, strict=True))
    else:
        values = [("low", parameter.low), ("high", parameter.high)]
    for key, value in values:
        try:
            experiment.settings({**experiment.search_space.enabling(name), name: value})
        except ValidationError as error:
            for problem in problems_of(error):
                yield Problem(f"{name}.{key}", _with_field(problem, name))
        except ValueError as error:
            named = isinstance(parameter, Choice) and parameter.settings is not None
            yield Problem(f"{name}.{key}" if named else name, str(error))
            if not named:  # the name itself is no field
                return


def _with_field(problem: Problem, name: str) -> str:
    """What is wrong with a configuration; with the field, where the parameter's name is none."""
    field = problem.path.partition(".")[2]
    is_named = not field or field == name.removeprefix("model.").removeprefix("train.")
    return problem.message if is_named else f"{field}: {problem.message}"


def _drawing_problems(experiment: Experiment) -> Iterator[Problem]:
    """Draw configurations and see that each is valid as a whole; the first bad one is told."""
    try:
        drawn = experiment.search_space.drawn(50, seed=experiment.seed)
        _ = experiment.search_space.distributions  # for which a function draws more
    except RunError as error:
        yield Problem("space", str(error))
        return
    if experiment.trainable is not None:
        return
    for params, returned in drawn:
        whole = f"(with {dict(params, **returned)})"
        try:
            experiment.settings(params, returned)
        except ValidationError as error:
            yield from (Problem("space", f"{problem} {whole}") for problem in problems_of(error))
            return
        except ValueError as error:
            yield Problem("space", f"{error} {whole}")
            return
        if experiment.search_space.is_function:
            for problem in drawn_overlaps(params, returned):
                yield Problem(f"space.{problem.path}", problem.message)
                return
