"""The check of a whole experiment: every mistake of a file in one go, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from spaces.code import renew
from spaces.dataset_checks import dataset_problems, metric_names
from spaces.depth import depends_on_length, place_in_file
from spaces.experiment import Budget, Confirm, Experiment
from spaces.locations import key_problem
from spaces.problems import InputError, Problem, RunError, shown
from spaces.scheduler import pairing_problems, scheduler_problems
from spaces.sections import problems_of
from spaces.space_checks import function_problems, space_problems


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
            names = [str(name) for name in faulty]
            more |= {name for name in space if depends_on_length(str(name), names)}
            if more <= faulty:
                break
            faulty = faulty | more
        self.parameters |= faulty
        return {name: held for name, held in space.items() if name not in faulty}


# which other fields are valid, and what a space may name, depends on these
_DECIDING = {"family", "optimizer", "hidden", "blocks"}


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
        problems = list(space_problems(experiment, is_whole))
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
        if not {problem.path, place_in_file(problem.path, ())} & faulty_names:
            yield Problem(f"baseline.{problem.path}".rstrip("."), problem.message)
    if not problems and not faulty_names and is_whole and experiment.trainable is None:
        try:
            experiment.settings(baseline, experiment.search_space.returned_for(baseline))
        except ValidationError as error:  # values that are valid alone, but not together
            yield from (Problem("baseline", str(problem)) for problem in problems_of(error))
        except (ValueError, RunError) as error:
            yield Problem("baseline", str(error))


def _metric_problems(experiment: Experiment) -> Iterator[Problem]:
    if experiment.trainable is not None:
        if experiment.metric.mode is None:
            name = experiment.metric.name
            message = f"say which values of {shown(name)} are better: min or max"
            message += f", such as metric: {{name: {name}, mode: max}}"
            yield Problem("metric.mode", message)
        return
    valid = metric_names(experiment)
    if experiment.metric.name not in valid:
        rule = "selection uses validation only"
        if experiment.dataset.is_regression:
            rule = "this is a regression, and selection uses validation only"
        message = f"{rule}, so it must be {_either(valid)}, got {experiment.metric.name!r}"
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
    yield from function_problems("trainable", reference)
    for key in ("model", "dataset"):
        if key in experiment.model_fields_set:
            yield Problem(key, "is not for your own code; put fixed values under train")
    if experiment.diagnostics:
        yield Problem("diagnostics", "is for built-in models; your own code has its own layers")
