"""Which configurations are confirmed, and what a finished race says: pure, as ``replay`` needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.insight.configurations import params_key, searched_values
from analysis.record.events import Confirmed, Job, RaceRule
from analysis.record.trials import Trials
from analysis.stats.score_range import bounds_in
from search.rerun.race import Race
from search.rerun.rerunner import seed_of
from spaces.experiment import Confirm, Experiment
from spaces.problems import InputError
from spaces.sections import parse_section
from spaces.training_config import TrainConfig, resolve
from trainables.data.input_spec import InputSpec
from trainables.models.families import count_parameters, empty_model


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
    return race_among(
        experiment, trials, candidates, settings.seeds, prefer_small=settings.prefer_small
    )


def race_among(
    experiment: Experiment,
    trials: Trials,
    candidates: Sequence[int],
    seeds: int,
    rule: RaceRule = "posterior",
    prefer_small: bool = False,
) -> Race:
    """The race of some trials' configurations, and the baseline's to measure them by."""
    searched = _searched(experiment, trials, candidates)
    return Race(
        candidates=candidates,
        baseline=None if experiment.baseline is None or not len(trials) else 0,
        seeds=seeds,
        metric=experiment.metric,
        parameters=_parameters(experiment, trials, candidates) if prefer_small else {},
        searched=searched,
        bounds=bounds_in(experiment.metric, list(searched.values()), trials),
        rule=rule,
        prefer_small=prefer_small,
    )


def best_configurations(experiment: Experiment, trials: Trials, top: int) -> list[int]:
    """The best different configurations of a search, the baseline left out, by trial number.

    A configuration that several trials had, as with ``repeats``, is worth the mean over them; the
    first of these stands for it.
    """
    baseline = None if experiment.baseline is None else params_key(experiment.baseline)
    found = searched_values(trials, experiment.metric)
    valued = [
        (experiment.metric.cost(held.value), held.trial)
        for key, held in found.items()
        if key != baseline
    ]
    return [number for _, number in sorted(valued)[:top]]


def verdict(
    experiment: Experiment, race: Race, ended: Mapping[Job, float], trials: Trials
) -> Confirmed:
    """What a race says once everything in it has ended."""
    winner = race.winner(ended)
    jobs, baseline = (
        [] if trial is None else [Job(trial, "measure", index) for index in range(race.seeds)]
        for trial in (winner, race.baseline)
    )
    jobs = [job for job in jobs if job in ended]
    return Confirmed(
        winner=winner,
        params=None if winner is None else trials.by_number[winner].params,
        seeds=[seed_of(experiment, job, trials) for job in jobs],
        scores=[ended[job] for job in jobs],
        baseline_scores=[ended[job] for job in baseline if job in ended],
        candidates=list(race.candidates),
        most_seeds=race.seeds,
        rule=race.rule,
        prefer_small=race.prefer_small,
    )


def _searched(
    experiment: Experiment, trials: Trials, candidates: Sequence[int]
) -> dict[int, float]:
    """What the search measured of candidates that it trained to the end, by trial number."""
    completed = (trials.by_number[n] for n in candidates)
    values = {t.number: t.value(experiment.metric) for t in completed if t.state == "completed"}
    return {number: value for number, value in values.items() if value is not None}


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
            trial = trials.by_number[number]
            config = resolve(experiment, trial.params, seed=0, returned=trial.settings)
            if isinstance(config, TrainConfig):
                model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, seed=0)
                counts[number] = count_parameters(model)
        except ValueError:  # only where somebody edited the journal; it can't be trained either
            continue
    return counts
