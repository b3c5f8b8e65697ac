"""The search space: what may vary, from YAML or from a define-by-run Python function."""

from __future__ import annotations

import functools
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution

from spaces.parameters import Choice, Parameter, Params
from spaces.problems import InputError, Problem, RunError, shown, unknown_name
from spaces.returned import check_recordable, returned_settings

_MOST_COUNTED = 100_000


class Drawn(NamedTuple):
    """One configuration: ``params``, and the ``settings`` that a function returned with them."""

    params: Params
    settings: dict[str, Any]


class SearchSpace:
    """What may vary, and how a configuration is drawn from it through an Optuna trial.

    Args:
        parameters: name to parameter, or a function that draws with ``trial.suggest_*``, and may
            return further settings; the two are the same thing from here on.
    """

    def __init__(self, parameters: Mapping[str, Parameter] | Callable[[optuna.Trial], Any]) -> None:
        self.parameters = dict(parameters) if isinstance(parameters, Mapping) else {}
        self.is_function = callable(parameters)
        self._define = parameters if callable(parameters) else self._suggest_each

    def suggest(self, trial: optuna.Trial) -> Params:
        """Draw one configuration; parameters whose condition does not hold are left out."""
        return self.draw(trial).params

    def draw(self, trial: optuna.Trial | optuna.trial.FixedTrial) -> Drawn:
        """Draw one configuration, with what a function returns for it.

        Raises:
            RunError: when that is no mapping of settings, or the function fails.
        """
        try:
            returned = self._define(trial)  # type: ignore[arg-type]
        except Exception as error:
            if not self.is_function or isinstance(error, RunError | InputError):
                raise
            drawn = f" (it had drawn {shown(dict(trial.params))})" if trial.params else ""
            failed = f"failed{_place_of(error)}: {type(error).__name__}: {error}{drawn}"
            raise RunError(f"the function of the space {failed}") from error
        return self._checked(trial, returned)

    def _checked(self, trial: optuna.Trial | optuna.trial.FixedTrial, returned: object) -> Drawn:
        if self.is_function:
            try:
                check_recordable(trial.distributions)
            except ValueError as error:
                raise RunError(f"the function of the space: {error}") from None
        params = dict(trial.params)
        return Drawn(params, returned_settings(returned, params))

    def returned_for(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a function returns where these are drawn; it is asked again."""
        return self.draw(optuna.trial.FixedTrial(dict(params))).settings if self.is_function else {}

    @functools.cached_property
    def order(self) -> list[str]:
        return _by_condition(self.parameters)

    def applying(self, params: Params) -> Params:
        """Those of some values that apply together; of a space that is no function."""
        kept: Params = {}
        for name in self.order:
            if name in params and is_active(self.parameters[name], kept):
                kept[name] = params[name]
        return kept

    def enabling(self, name: str) -> Params:
        """Values of the other parameters for which the conditions of one hold."""
        params: Params = {}
        waiting = [name]
        while waiting:
            for other, values in (self.parameters[waiting.pop()].when or {}).items():
                if other in self.parameters and other not in params:
                    params[other] = values[0]
                    waiting.append(other)
        return params

    def _suggest_each(self, trial: optuna.Trial) -> None:
        drawn: Params = {}
        for name in self.order:
            parameter = self.parameters[name]
            if is_active(parameter, drawn):
                drawn[name] = parameter.suggest(name, trial)

    def problems_with(self, params: Mapping[str, Any]) -> list[Problem]:
        """Why ``params`` is no point of this space; empty when it is one."""
        if not self.parameters:
            return self._problems_by_definition(params)
        problems = [
            Problem(name, unknown_name("parameter", name, self.parameters))
            for name in sorted(params.keys() - self.parameters.keys())
        ]
        for name, parameter in self.parameters.items():
            active = is_active(parameter, params)
            if name in params and not active:
                problems.append(Problem(name, f"does not apply here: it needs {parameter.when}"))
            elif name in params and (message := parameter.problem_with(params[name])):
                problems.append(Problem(name, message))
            elif active and name not in params:
                problems.append(Problem(name, "is missing"))
        return problems

    def distributions_of(self, params: Params) -> dict[str, BaseDistribution]:
        """What each parameter of one configuration is drawn from."""
        if self.parameters:
            active = (n for n in self.order if is_active(self.parameters[n], params))
            return {name: self.distributions[name] for name in active}
        fixed = optuna.trial.FixedTrial(params)
        self.draw(fixed)
        return dict(fixed.distributions)

    def check(
        self,
        trial: int,
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        is_recorded: bool = False,
    ) -> None:
        """See that a trial that a journal holds is a point of this space.

        Args:
            trial: its number.
            params: its configuration.
            settings: what a function returned with them.
            is_recorded: whether the journal says what a function drew them from; that was compared
                as it was read, and the function is not asked again.

        Raises:
            InputError: when it is none.
        """
        if settings and not self.is_function:
            raise InputError(f"trial {trial}: settings: only a function as space returns any")
        if is_recorded and not self.parameters:
            return
        if problems := self.problems_with(params):
            raise InputError(f"trial {trial}: " + "; ".join(map(str, problems)))

    def _problems_by_definition(self, params: Mapping[str, Any]) -> list[Problem]:
        fixed = optuna.trial.FixedTrial(dict(params))
        try:
            with warnings.catch_warnings():  # create_trial tells what FixedTrial only warns of
                warnings.simplefilter("ignore")
                self._checked(fixed, self._define(fixed))  # type: ignore[arg-type]
            used = {name: params[name] for name in fixed.distributions}
            optuna.trial.create_trial(
                value=0.0, params=used, distributions=dict(fixed.distributions)
            )
        except (ValueError, RunError) as error:
            return [Problem("", str(error))]
        except Exception as error:
            return [Problem("", f"the function failed: {type(error).__name__}: {error}")]
        unknown = params.keys() - used.keys()
        return [Problem(name, unknown_name("parameter", name, used)) for name in sorted(unknown)]

    def samples(self, count: int, seed: int) -> list[Params]:
        """The parameters of ``drawn``, without what a function returned."""
        return [drawn.params for drawn in self.drawn(count, seed)]

    def drawn(self, count: int, seed: int) -> list[Drawn]:
        """``count`` configurations drawn at random, for people to look at."""
        return [self.draw(trial) for trial in self._random_trials(count, seed)]

    def around(self, fixed: Mapping[str, Any], seed: int) -> Params:
        """A configuration with these values, where they apply, and the rest drawn at random."""
        at_random = optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.PartialFixedSampler(dict(fixed), at_random)
        return self.suggest(optuna.create_study(sampler=sampler).ask())

    def combinations(self) -> int | None:
        """How many configurations a grid has; None for a function, or where there is no end."""
        points: list[Params] = [{}]
        for name in self.order:
            values = grid_values(self.parameters[name].distribution())
            if values is None or len(points) * len(values) > _MOST_COUNTED:
                return None
            points = [
                {**point, name: value} if is_active(self.parameters[name], point) else point
                for point in points
                for value in (values if is_active(self.parameters[name], point) else values[:1])
            ]
        return len(points) if self.parameters else None

    @functools.cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every parameter's distribution; those of a function are seen by drawing from it."""
        if self.parameters:
            return {name: self.parameters[name].distribution() for name in self.parameters}
        seen: dict[str, BaseDistribution] = {}
        for trial in self._random_trials(100, seed=0):
            self.draw(trial)
            seen.update(trial.distributions)
        return seen

    @staticmethod
    def _random_trials(count: int, seed: int) -> list[optuna.Trial]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        return [study.ask() for _ in range(count)]

    def settings_of(self, name: str, value: Any) -> dict[str, Any]:
        """The partial settings that a named choice stands for, or ``{name: value}`` itself."""
        parameter = self.parameters.get(name)
        if isinstance(parameter, Choice) and parameter.settings is not None:
            return parameter.settings[str(value)]
        return {name: value}


def _place_of(error: Exception) -> str:
    """The last line of somebody's own on the way to an error; empty where there is none."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines[1:] if "site-packages" not in line.filename]
    return f" in {own[-1].filename}, line {own[-1].lineno}" if own else ""


def grid_values(distribution: BaseDistribution) -> Sequence[Any] | None:
    """The values that a grid tries; None for a range of reals without steps."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, optuna.distributions.FloatDistribution)
    low, step = distribution.low, distribution.step
    if step is None:
        return None
    return [low + place * step for place in range(round((distribution.high - low) / step) + 1)]


def is_active(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    """Whether the parameter's ``when`` holds among ``params``."""
    conditions = (parameter.when or {}).items()
    return all(name in params and params[name] in values for name, values in conditions)


def _by_condition(parameters: Mapping[str, Parameter]) -> list[str]:
    """The names in file order, but each after those that its ``when`` asks about."""
    order: dict[str, None] = {}
    waiting = {name: (parameter.when or {}).keys() for name, parameter in parameters.items()}
    while waiting:
        ready = next((name for name, asked in waiting.items() if asked <= order.keys()), None)
        if ready is None:
            raise InputError(f"the conditions of {', '.join(sorted(waiting))} form a circle")
        order[ready] = None
        del waiting[ready]
    return list(order)


def condition_problems(parameters: Mapping[str, Parameter]) -> list[Problem]:
    """Conditions on parameters that do not exist, or on values that these never take."""
    problems = []
    for name, parameter in parameters.items():
        for other, values in (parameter.when or {}).items():
            path = f"{name}.when.{other}"
            if other not in parameters or other == name:
                others = [valid for valid in parameters if valid != name]
                problems.append(Problem(path, unknown_name("parameter", other, others)))
                continue
            messages = [parameters[other].problem_with(value) for value in values]
            problems.extend(Problem(path, f"{other} {message}") for message in messages if message)
    if not problems:
        try:
            _by_condition(parameters)
        except ValueError as error:
            problems.append(Problem("", str(error)))
    return problems
