"""Which configurations are confirmed, and what a finished race says: pure, as ``replay`` needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.confirmation import searched_value
from analysis.events import Confirmed, Job
from analysis.trials import Trials
from search.race import Race
from search.rerunning import seed_of
from spaces.experiment import Confirm, Experiment
from spaces.parameters import Params
from spaces.problems import InputError
from spaces.sections import parse_section
from trainables.config import TrainConfig, resolve
from trainables.data import InputSpec
from trainables.models import count_parameters, empty_model


def race_of(experiment: Experiment, trials: Trials, settings: Confirm) -> Race:
    """The race among the best configurations of a search.

    Raises:
        InputError: when no trial has ended with a value.
    """
    candidates = best_configurations(experiment, trials, settings.top)
    if not candidates and not any(trial.state != "running" for trial in trials):
        raise InputError("the run has no finished trial yet, so there is nothing to confirm")
    if not candidates:
        raise InputError(
            "no finished trial but the baseline has a value, so there is nothing to confirm"
        )
    return race_among(experiment, trials, candidates, settings.seeds)


def race_among(
    experiment: Experiment, trials: Trials, candidates: Sequence[int], seeds: int
) -> Race:
    """The race of some trials' configurations, and the baseline's to measure them by."""
    return Race(
        candidates=candidates,
        baseline=None if experiment.baseline is None or not len(trials) else 0,
        seeds=seeds,
        metric=experiment.metric,
        parameters=_parameters(experiment, trials, candidates),
    )


def best_configurations(experiment: Experiment, trials: Trials, top: int) -> list[int]:
    """The best different configurations of a search, the baseline left out, by trial number.

    With ``repeats`` a configuration is worth the mean over them, and its first trial stands for it.
    """
    metric = experiment.metric
    valued: list[tuple[float, int]] = []
    for trial in trials:
        is_first = trial.number % experiment.repeats == 0
        value = searched_value(trials, trial, experiment)
        if is_first and trial.state != "running" and value is not None:
            valued.append((value if metric.mode == "min" else -value, trial.number))
    known = set() if experiment.baseline is None else {_key(experiment.baseline)}
    found: list[int] = []
    for _, number in sorted(valued):
        key = _key(trials.by_number[number].params)
        if key not in known:
            known.add(key)
            found.append(number)
    return found[:top]


def verdict(
    experiment: Experiment, race: Race, ended: Mapping[Job, float], trials: Trials
) -> Confirmed:
    """What a race says once everything in it has ended."""
    winner = race.winner(ended)
    jobs = [Job(-1 if winner is None else winner, "measure", i) for i in range(race.seeds)]
    baseline = [Job(0, "measure", i) for i in range(race.seeds)]
    return Confirmed(
        winner=winner,
        params=None if winner is None else trials.by_number[winner].params,
        seeds=[] if winner is None else [seed_of(experiment, job, trials) for job in jobs],
        scores=[ended[job] for job in jobs if job in ended],
        baseline_scores=[ended[job] for job in baseline if job in ended],
        candidates=list(race.candidates),
        most_seeds=race.seeds,
    )


def _key(params: Params) -> frozenset[tuple[str, str]]:
    return frozenset((name, repr(value)) for name, value in params.items())


def _parameters(
    experiment: Experiment, trials: Trials, candidates: Sequence[int]
) -> dict[int, int]:
    """Trainable parameters by trial number, for built-in models whose inputs are on record."""
    if trials.start is None or trials.start.inputs is None:
        return {}
    inputs = parse_section(InputSpec, trials.start.inputs, ("experiment", "inputs"))
    counts = {}
    for number in candidates:
        try:
            config = resolve(experiment, trials.by_number[number].params, seed=0)
            if isinstance(config, TrainConfig):
                model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, seed=0)
                counts[number] = count_parameters(model)
        except ValueError:  # only where somebody edited the journal; it can't be trained either
            continue
    return counts
