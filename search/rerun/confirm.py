"""``shoal confirm``: the best configurations trained again, one chosen, measured and tested."""

from __future__ import annotations

import shlex

from analysis.record.events import Confirmed, Job
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from analysis.stats.intervals import finite
from analysis.verdict.confirmation import Confirmation, confirmation_of, open_confirmed
from search.rerun.candidates import best_configurations, race_of, verdict
from search.rerun.race import Race
from search.rerun.reopened import Reopened, reopened
from search.rerun.test_split import has_test_split, read_test
from search.run_context import DEFAULT_TERMS, Terms
from search.session import DEFAULT_HOST, Host
from spaces.experiment import Confirm, Experiment
from spaces.problems import InputError


def confirm_run(
    folder: RunFolder,
    settings: Confirm,
    host: Host = DEFAULT_HOST,
    terms: Terms = DEFAULT_TERMS,
) -> Confirmation | None:
    """Confirm the best configurations of a run, or go on with that where it was interrupted.

    Args:
        folder: the run.
        settings: how many of the best, how many seeds, what it may cost.
        host: what the trainings run in.
        terms: what to do about code that moved, about what has changed, about failures.

    Returns:
        What was found; None when it was interrupted.

    Raises:
        InputError: when there is nothing to confirm, it can cost more than it may, or the run is
            being written by another process.
        RunError: when its disk or its storage failed.
    """

    def race(experiment: Experiment, trials: Trials) -> Race:
        found = race_of(experiment, trials, settings)
        _check_cost(found, experiment, settings)
        return found

    again = confirm_command(folder, settings)
    with reopened(folder, race, again, host, terms) as work:
        if not work.rerunner.is_finished:
            return None
        return _conclude(work)


def _check_cost(race: Race, experiment: Experiment, settings: Confirm) -> None:
    """See that a race can't cost more epochs than it may."""
    most = race.most_trainings * experiment.scheduler.max_epochs
    if settings.epochs is not None and most > settings.epochs:
        fitting = settings.seeds * settings.epochs // most
        mend = f"{fitting} seeds fit" if fitting >= 2 else "fewer of the best may fit (--top)"
        raise InputError(
            f"{settings.seeds} seeds for the best {len(race.candidates)} can cost {most} epochs, "
            f"its budget (epochs) is {settings.epochs}; {mend}",
            "--seeds",
        )


def _conclude(work: Reopened[Race]) -> Confirmation | None:
    """Note who won, and read the test split where that was not done before."""
    reruns, race, trials = work.rerunner.reruns, work.rerunner.plan, work.rerunner.searched
    found = verdict(work.experiment, race, work.rerunner.state()[1], trials)
    last = reruns.confirmed[-1] if reruns.confirmed else None
    if last is None or found.model_dump_json() != _without_time(last):
        work.rerunner.write(found)
    for trial in untested(work.experiment, found, reruns):
        jobs = [Job(trial, "measure", index) for index in range(race.seeds)]
        measured = [rerun for job in jobs if (rerun := reruns.get(job)) is not None]
        assert work.data is not None
        work.rerunner.write(
            read_test(work.experiment, work.folder.of_reruns, trial, measured, work.data)
        )
    return confirmation_of(work.experiment, trials, reruns)


def untested(experiment: Experiment, found: Confirmed, reruns: Reruns) -> list[int]:
    """The trials whose configurations were measured, but not yet on the test split.

    None where there is no test split: the user's own code, or data that has none.
    """
    if experiment.trainable is not None or not has_test_split(experiment.dataset):
        return []
    measured = [] if found.winner is None else [(found.winner, found.scores)]
    measured.append((0, found.baseline_scores))
    read = {test.trial for test in reruns.tested}
    return [trial for trial, scores in measured if finite(scores) and trial not in read]


def _without_time(event: Confirmed) -> str:
    return event.model_copy(update={"time": 0.0}).model_dump_json()


def is_left(folder: RunFolder) -> Confirm | None:
    """What a run's file asks to confirm and was not confirmed yet, once the search is finished."""
    if experiment_of(folder).confirm is None:
        return None
    run = open_confirmed(folder.path)
    settings, ended = run.experiment.confirm, run.trials.ended
    if settings is None or ended is None or ended.reason in ("interrupted", "error"):
        return None
    candidates = best_configurations(run.experiment, run.trials, settings.top)
    found = run.reruns.confirmed[-1] if run.reruns.confirmed else None
    if found is not None and found.candidates == candidates:
        return settings if untested(run.experiment, found, run.reruns) else None
    return settings if candidates else None


def confirm_command(folder: RunFolder, settings: Confirm) -> str:
    """The command that begins a confirmation, or goes on with it."""
    flags = ["--top", str(settings.top), "--seeds", str(settings.seeds)]
    if settings.epochs is not None:
        flags += ["--epochs", str(settings.epochs)]
    if settings.prefer_small:
        flags.append("--prefer-small")
    return shlex.join(["shoal", "confirm", str(folder.path), *flags])
