"""The check of a whole experiment: every mistake of a file in one go, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from spaces.code import load_function, renew
from spaces.dataset_checks import dataset_problems, metric_names
from spaces.experiment import Budget, Confirm, Experiment
from spaces.locations import key_problem
from spaces.overlaps import drawn_overlaps, overlap_problems
from spaces.parameters import MOST_LISTED, Choice, Float, Parameter, Params
from spaces.problems import InputError, Problem, shown
from spaces.recorded import check_recordable
from spaces.scheduler import pairing_problems, scheduler_problems
from spaces.sections import problems_of
from spaces.space import condition_problems


def parse_experiment(data: Mapping[str, Any]) -> Experiment:
    """Check plain data, as read from a file, and make an experiment of it.

    Raises:
        InputError: with every mistake, each with its path, such as ``space.lr.low``.
    """
    problems: list[Problem] = []
    left_out = _LeftOut()
    while True:
        try:
            experiment = Experiment.model_validate(data)
            break
        except ValidationError as error:
            problems.extend(problems_of(error))
            sound = left_out.take(data, [details["loc"] for details in error.errors()])
            if sound == data:  # what is not there can't be left out
                raise InputError(problems) from None
            data = sound
    for code in (experiment.trainable, experiment.space):
        if isinstance(code, str):
            renew(code)
    problems.extend(_cross_problems(experiment, left_out))
    if problems:
        raise InputError(problems)
    return experiment


class _LeftOut:
    """What is faulty is left out, so that the rest can be checked in the same go.

    ``sections``: whole ones. ``parameters``: of the space, with those that depend on them.
    ``fields``: of model and train.
    """

    def __init__(self) -> None:
        self.sections: set[str | int] = set()
        self.parameters: set[str] = set()
        self.fields: set[str | int] = set()

    def take(
        self, data: Mapping[str, Any], places: Sequence[tuple[str | int, ...]]
    ) -> dict[str, Any]:
        """The data without what is faulty at these places."""
        sound = dict(data)
        for section in {place[0] for place in places}:
            held = sound.pop(str(section), None)
            parts = {place[1] for place in places if place[0] == section and len(place) > 1}
            is_part = all(len(place) > 1 for place in places if place[0] == section)
            is_told = is_part and isinstance(held, dict) and parts & held.keys() == parts
            if is_told and section == "space":
                sound["space"] = self._without_parameters(held, parts)
            elif is_told and section in ("model", "train") and not parts & _DECIDING:
                self.fields |= parts
                sound[section] = {key: held[key] for key in held.keys() - parts}
            else:
                self.sections.add(section)
        return sound if "name" in sound else {"name": "unnamed", **sound}

    def _without_parameters(self, space: dict[str, Any], faulty: set[Any]) -> dict[str, Any]:
        while True:
            conditions = {
                name: held["when"]
                for name, held in space.items()
                if isinstance(held, dict) and isinstance(held.get("when"), dict)
            }
            more = {name for name, when in conditions.items() if faulty & when.keys()}
            if more <= faulty:
                break
            faulty = faulty | more
        self.parameters |= faulty
        return {name: held for name, held in space.items() if name not in faulty}


_DECIDING = {"family", "optimizer", "blocks"}  # which other fields are valid depends on these


def _cross_problems(experiment: Experiment, left_out: _LeftOut) -> Iterator[Problem]:
    """The rules that span sections; rules on sections that are faulty themselves are left out."""
    if experiment.storage is not None and (problem := key_problem(experiment.storage)) is not None:
        yield Problem("storage", problem)
    faulty = left_out.sections
    if "scheduler" not in faulty:
        yield from scheduler_problems(experiment.scheduler)
    if not faulty & {"scheduler", "sampler"}:
        yield from pairing_problems(experiment.sampler, experiment.scheduler)
    if not faulty & {"metric", "dataset", "trainable"}:
        yield from _metric_problems(experiment)
    if experiment.trainable is None and not faulty & {"dataset", "trainable"}:
        yield from dataset_problems(experiment)
    if not faulty & {"budget", "sampler"}:
        yield from _budget_problems(experiment)
    if experiment.confirm is not None and not faulty & {"confirm", "scheduler"}:
        yield from confirm_problems(experiment, experiment.confirm)
    if experiment.trainable is not None:
        yield from _own_code_problems(experiment, experiment.trainable)
    if not faulty & {"space", "model", "train", "trainable"}:
        is_whole = not left_out.parameters | left_out.fields
        problems = list(_space_problems(experiment, is_whole))
        yield from problems
        if experiment.baseline is not None:
            faulty_names = {
                problem.path.split(".")[1] for problem in problems if "." in problem.path
            } | left_out.parameters
            if not problems or faulty_names:
                yield from _baseline_problems(
                    experiment, experiment.baseline, faulty_names, is_whole
                )


def _baseline_problems(
    experiment: Experiment, baseline: Mapping[str, Any], faulty_names: set[str], is_whole: bool
) -> Iterator[Problem]:
    problems = experiment.search_space.problems_with(baseline)
    for problem in problems:
        if problem.path not in faulty_names:
            yield Problem(f"baseline.{problem.path}".rstrip("."), problem.message)
    if not problems and not faulty_names and is_whole and experiment.trainable is None:
        try:
            experiment.settings(baseline)
        except ValidationError as error:  # values that are valid alone, but not together
            yield from (Problem("baseline", str(problem)) for problem in problems_of(error))


def _metric_problems(experiment: Experiment) -> Iterator[Problem]:
    if experiment.trainable is not None:
        if experiment.metric.mode is None:
            message = f"say which values of {shown(experiment.metric.name)} are better: min or max"
            yield Problem("metric.mode", message)
        return
    valid = metric_names(experiment)
    if experiment.metric.name not in valid:
        message = (
            f"selection uses validation only, so it must be {_either(valid)}, "
            f"got {experiment.metric.name!r}"
        )
        yield Problem("metric.name", message)


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _budget_problems(experiment: Experiment) -> Iterator[Problem]:
    limits = experiment.budget.model_dump(exclude_none=True)
    if not limits and experiment.sampler.name != "grid":
        yield Problem("budget", f"needs one of {', '.join(Budget.model_fields)}")


def confirm_problems(experiment: Experiment, confirm: Confirm) -> Iterator[Problem]:
    """See that what confirming can cost is within its own budget."""
    max_epochs = experiment.scheduler.max_epochs
    most = confirm.most_epochs(max_epochs, experiment.baseline is not None)
    if confirm.epochs is None or most <= confirm.epochs:
        return
    fitting = confirm.seeds * confirm.epochs // most
    mend = f"{fitting} seeds fit" if fitting >= 2 else "fewer of the best may fit (top)"
    message = f"{confirm.seeds} seeds for the best {confirm.top} can cost {most} epochs"
    yield Problem("confirm.seeds", f"{message}, its budget (epochs) is {confirm.epochs}; {mend}")


def _own_code_problems(experiment: Experiment, reference: str) -> Iterator[Problem]:
    yield from _function_problems("trainable", reference)
    for key in ("model", "dataset"):
        if key in experiment.model_fields_set:
            yield Problem(key, "is not for your own code; put fixed values under train")
    if experiment.diagnostics:
        yield Problem("diagnostics", "is for built-in models; your own code has its own layers")


def _function_problems(path: str, reference: str) -> Iterator[Problem]:
    try:
        load_function(reference)
    except InputError as error:
        yield Problem(path, str(error))


def _space_problems(experiment: Experiment, is_whole: bool) -> Iterator[Problem]:
    if isinstance(experiment.space, str):
        problems = list(_function_problems("space", experiment.space))
        if problems or is_whole:
            yield from problems or _drawing_problems(experiment)
        return
    problems = condition_problems(experiment.space)
    problems.extend(_listing_problems(experiment.sampler.name, experiment.space))
    is_circle = any(problem.path == "" for problem in problems)
    if experiment.trainable is None and not is_circle:
        faulty = {problem.path.split(".when")[0] for problem in problems}
        for name, parameter in experiment.space.items():
            if name not in faulty:
                problems.extend(_field_problems(experiment, experiment.space, name, parameter))
    if not problems:  # so that every name is a field, and every condition sound
        problems.extend(overlap_problems(experiment.space, experiment.trainable is not None))
    for problem in problems:
        yield Problem(f"space.{problem.path}".rstrip("."), problem.message)
    if not problems and is_whole:
        yield from _drawing_problems(experiment)


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
            experiment.settings({**_enabling(space, name), name: value})
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


def _enabling(space: Mapping[str, Parameter], name: str) -> Params:
    """Values of the other parameters for which the conditions of ``name`` hold."""
    params: Params = {}
    waiting = [name]
    while waiting:
        for other, values in (space[waiting.pop()].when or {}).items():
            if other in space and other not in params:
                params[other] = values[0]
                waiting.append(other)
    return params


def _drawing_problems(experiment: Experiment) -> Iterator[Problem]:
    """Draw configurations and see that each is valid as a whole; the first bad one is told."""
    try:
        drawn = experiment.search_space.samples(50, seed=experiment.seed)
        check_recordable(experiment.search_space.distributions)
    except Exception as error:
        yield Problem("space", f"the function failed: {type(error).__name__}: {error}")
        return
    if experiment.trainable is not None:
        return
    for params in drawn:
        try:
            experiment.settings(params)
        except ValidationError as error:
            yield from (Problem("space", f"{p} (with {params})") for p in problems_of(error))
            return
        except ValueError as error:
            yield Problem("space", f"{error} (with {params})")
            return
        for problem in drawn_overlaps(params) if isinstance(experiment.space, str) else ():
            yield Problem(f"space.{problem.path}", problem.message)
            return
