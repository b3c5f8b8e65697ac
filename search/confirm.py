"""``shoal confirm``: the best configurations trained again, one chosen, measured and tested."""

from __future__ import annotations

from contextlib import closing

from analysis.confirmation import Confirmation, confirmation_of
from analysis.events import Confirmed, Job
from analysis.journal import Journal
from analysis.lock import locked
from analysis.reruns import Reruns
from analysis.run import RunFolder, experiment_of, open_run
from analysis.trials import Trials
from search.candidates import best_configurations, race_of, verdict
from search.cluster import on_cluster
from search.guards import faults_told
from search.held_out import read_test
from search.preparing import prepare
from search.race import Race
from search.rerunning import Rerunner, train_reruns
from spaces.checks import confirm_problems, parse_experiment
from spaces.experiment import Confirm, Experiment
from spaces.problems import InputError
from trainables.data import Data


def confirm_run(
    folder: RunFolder, settings: Confirm, address: str | None = None, verbose: bool = False
) -> Confirmation | None:
    """Confirm the best configurations of a run, or go on with that where it was interrupted.

    Args:
        folder: the run.
        settings: how many of the best, how many seeds, what it may cost.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.

    Returns:
        What was found; None when it was interrupted.

    Raises:
        InputError: when there is nothing to confirm, it can cost more than it may, or the run is
            being written by another process.
        RunError: when its disk or its storage failed.
    """
    _, recorded, trials = open_run(folder.path)
    experiment = parse_experiment(recorded.plain())
    problems = list(confirm_problems(experiment, settings))
    if problems:
        raise InputError(problems)
    race = race_of(experiment, trials, settings)
    data = prepare(experiment)
    with (
        faults_told(folder, confirm_command(folder, settings)),
        locked(folder.path),
        closing(Journal(folder.journal_file)) as journal,
    ):
        work = Confirming(experiment, folder, trials, journal, data, race)
        if not work.rerunner.is_finished:
            with on_cluster(experiment, address, verbose) as slots:
                train_reruns(work.rerunner, folder, slots, data, confirm_command(folder, settings))
        return work.conclude()


def is_left(folder: RunFolder) -> Confirm | None:
    """What a run's file asks to confirm and was not confirmed yet, once the search is finished."""
    if experiment_of(folder).confirm is None:
        return None
    reruns = Reruns()
    _, experiment, trials = open_run(folder.path, reruns.apply)
    assert experiment.confirm is not None
    if trials.ended is None or trials.ended.reason in ("interrupted", "error"):
        return None
    found = reruns.confirmed[-1] if reruns.confirmed else None
    candidates = best_configurations(experiment, trials, experiment.confirm.top)
    is_done = found is not None and found.candidates == candidates
    return None if is_done or not candidates else experiment.confirm


def confirm_command(folder: RunFolder, settings: Confirm) -> str:
    """The command that begins a confirmation, or goes on with it."""
    return f"shoal confirm {folder.path} --top {settings.top} --seeds {settings.seeds}"


class Confirming:
    """A confirmation of a run: trainings, then the verdict, then the test split.

    Args:
        experiment: the run's, checked.
        folder: the run.
        trials: how it stands.
        journal: of the run, open.
        data: what built-in models are trained on.
        race: who takes part.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        trials: Trials,
        journal: Journal,
        data: Data | None,
        race: Race,
    ) -> None:
        self.rerunner = Rerunner(experiment, trials, journal, race)
        self._experiment = experiment
        self._folder = folder
        self._trials = trials
        self._journal = journal
        self._data = data
        self._race = race

    def conclude(self) -> Confirmation | None:
        """Note who won, and read the test split where that was not done before.

        Returns:
            What was found; None when the race is not over.
        """
        if not self.rerunner.is_finished:
            return None
        found = verdict(self._experiment, self._race, self.rerunner.state()[1], self._trials)
        reruns = self.rerunner.reruns
        last = reruns.confirmed[-1] if reruns.confirmed else None
        if last is None or found.model_dump_json() != _without_time(last):
            reruns.note(self._journal.append(found))
        if found.winner is not None and self._data is not None:
            self._test(found.winner)
            if self._race.baseline is not None:
                self._test(self._race.baseline)
        return confirmation_of(self._experiment, self._trials, reruns)

    def _test(self, trial: int) -> None:
        params = self._trials.by_number[trial].params
        read = {test.trial for test in self.rerunner.reruns.tested}
        if any(self._trials.by_number[number].params == params for number in read):
            return
        assert self._data is not None
        jobs = [Job(trial, "measure", index) for index in range(self._race.seeds)]
        measured = [rerun for job in jobs if (rerun := self.rerunner.reruns.get(job)) is not None]
        part = self._folder.of_reruns
        test = read_test(self._experiment, part, trial, measured, self._data)
        self.rerunner.reruns.note(self._journal.append(test))


def _without_time(event: Confirmed) -> str:
    return event.model_copy(update={"time": 0.0}).model_dump_json()
