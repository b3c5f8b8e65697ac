"""What a run depends on beside its experiment: then and now, compared, told and noted."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from analysis.record.events import Changed, Moved, Started
from analysis.record.folder import own_code
from analysis.record.surroundings import Difference, Surroundings, are_serious, differences
from analysis.record.trials import Trial, Trials
from search.control.controller import Controller
from search.control.view import Note
from search.run_context import inside
from search.versions import versions
from spaces.code_files import code_fingerprint
from spaces.experiment import Experiment
from spaces.problems import InputError
from trainables.data.splits import Data, load_data


def surroundings_of(experiment: Experiment, data: Data | None) -> Surroundings:
    """How things are here and now.

    Args:
        experiment: what is searched; code of the user's own is read, not run.
        data: what is trained on; None: not known, as with own code.
    """
    code = own_code(experiment).values()
    return Surroundings(
        versions=versions(),
        host=platform.node(),
        inputs=None if data is None else data.spec.plain,
        split=None if data is None else data.fingerprint,
        code=code_fingerprint(*code) if code else None,
    )


def compare_here(
    experiment: Experiment, start: Started, was: Surroundings, strict: bool, note: Note
) -> list[Difference]:
    """Compare a run that is only read; its data are not downloaded for that.

    Args:
        experiment: the run's.
        start: how it began.
        was: how things were then, or later.
        strict: whether a difference is refused, or only noted.
        note: is given what has changed, as a line.

    Raises:
        InputError: when it is refused.
    """
    data, missing = None, []
    if was.split is not None and experiment.trainable is None:
        try:
            with inside(start.directory):
                data = load_data(experiment.dataset, experiment.seed, download=False)
        except InputError as error:
            missing = [Difference(what="data", was="there", now=f"can't be read: {error}")]
    found = [*missing, *differences(was, surroundings_of(experiment, data))]
    note_differences(found, strict, note)
    return found


def compare(was: Surroundings, now: Surroundings, strict: bool, note: Note) -> list[Difference]:
    """Compare a run that is worked on again.

    Args:
        was: how things were when it began.
        now: how they are.
        strict: whether a difference is refused, or only noted.
        note: is given what has changed, as a line.

    Raises:
        InputError: when it is refused.
    """
    found = differences(was, now)
    note_differences(found, strict, note)
    return found


def note_differences(found: Sequence[Difference], strict: bool, note: Note) -> None:
    """Say what has changed; another host alone is no fault, and is never refused.

    Raises:
        InputError: when something else has changed, and that is refused.
    """
    lines = "\n".join(f"  {difference}" for difference in found)
    if not are_serious(found):
        if found:
            note(f"note: another host than when the run began\n{lines}")
        return
    if strict:
        raise InputError(f"this is not as it was when the run was trained:\n{lines}", "--strict")
    what = "this is not as it was when the run was trained (--strict refuses)"
    note(f"warning: {what}:\n{lines}")


def record_changes(
    controller: Controller,
    found: list[Difference],
    now: Surroundings,
    moved: Moved | None,
) -> None:
    """Write what has changed or moved into the journal; nothing that it says already.

    Args:
        controller: its journal is open, and taken in.
        found: how things differ from when the run began.
        now: how they are.
        moved: where the user's code lies now, if that was said anew.
    """
    if moved is not None:
        controller.write(moved)
    noted = controller.searched.changes
    before = noted[-1].differences if noted else []
    if found != before:
        controller.write(Changed(differences=found, now=now))


def changes_of(
    noted: Sequence[Changed], worlds: Sequence[Surroundings], since: Sequence[Difference]
) -> dict[str, Any] | None:
    """What a bundle's ``changes.json`` holds; None where nothing has changed.

    Args:
        noted: the changes that the run's journal has.
        worlds: what the bundle's training depended on, in their order.
        since: what has changed since then.
    """
    if not noted and not since:
        return None
    return {
        "while_the_run_went_on": [
            {"time": change.time, "differences": [held.model_dump() for held in change.differences]}
            for change in noted
        ],
        "trained_with": [world.model_dump(exclude={"inputs"}) for world in worlds],
        "since_it_was_trained": [held.model_dump() for held in since],
    }


def trained_in(trials: Trials, trial: Trial, epoch: int) -> list[Surroundings]:
    """What a training up to an epoch depended on, in the order of the changes."""
    assert trials.start is not None
    known = [trials.start.surroundings, *(change.now for change in trials.changes)]
    after = [count for first, count in trial.trained_after if first <= epoch]
    is_older = not trial.trained_after or trial.trained_after[0][0] > 1
    return [known[count] for count in ([0, *after] if is_older else after)]
