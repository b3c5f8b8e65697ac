"""Trainings in the terminal: a live view, or one plain line every few seconds when piped."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from rich import progress
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.display.numbers import duration
from analysis.display.tables import show_params, show_value
from analysis.record.folder import RunFolder
from analysis.record.trials import Trial
from search.cli.console import Screen
from search.cli.notebook import Cell
from search.control.controller import Controller
from spaces.problems import printable

LIVE_SECONDS = 0.25
LINE_SECONDS = 5.0
_SPEED_SECONDS = 30.0
_NOTES = 4
_LEVELS = "▁▂▃▄▅▆▇█"
_CURVE = 24  # points of a trial's curve at most


class Progress:
    """Shows how trainings stand; a context manager around them.

    Args:
        trainings: what is shown.
        folder: the run.
        console: where; left out, the terminal's standard error.
        is_live: whether a terminal shows a live view; it would paint over what code prints there.
    """

    def __init__(
        self,
        trainings: Controller,
        folder: RunFolder,
        console: Console | None = None,
        is_live: bool = True,
    ) -> None:
        self._trainings = trainings
        self._folder = folder
        self._console = console or Screen(stderr=True)
        self._live: Live | Cell | None = None
        self._may_be_live = is_live
        self._most_trials = trainings.most_trials
        self._is_stopping = False
        self._epochs_before = trainings.trials.epochs
        self._shown_at = time.monotonic()
        self._meter = progress.Progress(speed_estimate_period=_SPEED_SECONDS, auto_refresh=False)
        self._task = self._meter.add_task("", total=None, completed=self._epochs_before)
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._last_line = ""

    def __enter__(self) -> Progress:
        if self._may_be_live and self._console.is_jupyter:
            self._live = Cell(self.render)
        elif self._may_be_live and self._console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self._console, auto_refresh=False)
        if self._live is not None:
            self._live.start(refresh=True)
        else:
            self._console.print(f"{self._folder.path}", soft_wrap=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.refresh()
            self._live.stop()
        else:
            self._console.print(self.line(), soft_wrap=True)

    def update(self) -> None:
        """Show how things stand, when it is time to."""
        now = time.monotonic()
        if self._trainings.is_interrupted and not self._is_stopping:
            self._is_stopping = True
            self.note("Stopping gracefully; press Ctrl-C again to quit now.")
        if now - self._shown_at < (LINE_SECONDS if self._live is None else LIVE_SECONDS):
            return
        self._shown_at = now
        self._meter.update(self._task, completed=self._trainings.trials.epochs)
        if self._live is not None:
            self._live.refresh()
        elif (line := self.line()) != self._last_line:
            self._last_line = line
            self._console.print(line, soft_wrap=True)

    def note(self, message: str) -> None:
        """Show a line that should be read."""
        if self._live is None:
            self._console.print(message, soft_wrap=True)
        elif not self._notes or self._notes[-1] != message:
            self._notes.append(message)

    def _has_begun(self) -> bool:
        """Whether a worker has reported in this session."""
        return self._trainings.trials.epochs > self._epochs_before

    def line(self) -> str:
        """One plain line."""
        parts = [self._counts(), f"{self._trainings.trials.epochs} epochs", self._speed()]
        leader = self._trainings.leader()
        if leader is not None:
            parts.append(f"{leader.kind} {leader.line}")
        return " | ".join(part for part in (*parts, self._time_left()) if part)

    def render(self) -> Group:
        """The live view: counts, rungs, the best so far, speed, notes; running trials below."""
        head = Text(printable(self._folder.name), style="bold")
        head.append(f"   {self._trainings.trials.epochs} epochs   {self._speed()}", style="dim")
        head.append(f"   {self._time_left()}", style="dim")
        facts = Table.grid(padding=(0, 2))
        facts.add_row(Text(f"{self._trainings.noun}s", style="dim"), self._counts())
        if self._trainings.policy.rungs.by_epoch:
            facts.add_row(Text("rungs", style="dim"), self._rungs())
        leader = self._trainings.leader()
        if leader is not None:
            facts.add_row(
                Text(leader.kind, style="dim"), Text(printable(leader.line), style="green")
            )
            facts.add_row("", Text(show_params(leader.params)))
        notes = (Text(printable(note), style="yellow") for note in self._notes)
        upper = Group(head, facts, *notes)
        taken = len(self._console.render_lines(upper, pad=False))
        return Group(upper, *self._running(self._console.height - taken - 1))

    def _running(self, room: int) -> list[RenderableType]:
        """The running trials with their last value and a curve, in so many lines."""
        running = [trial for trial in self._trainings.trials.in_training if trial.reports]
        shown = running if len(running) <= room else running[: max(0, room - 1)]
        if not shown:
            return []
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "right", "right", "left"):
            table.add_column(justify=justify, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        for trial in shown:
            table.add_row(*self._row(trial))
        left = len(running) - len(shown)
        return [table, *([Text(f"and {left} more", style="dim")] if left else [])]

    def _row(self, trial: Trial) -> tuple[Text, ...]:
        name = self._trainings.experiment.metric.name
        value = trial.reports[-1].metrics[name]
        count = len(trial.reports)
        points = [
            (count - 1) * n // max(1, min(count, _CURVE) - 1) for n in range(min(count, _CURVE))
        ]
        values = [trial.reports[place].metrics[name] for place in points]
        is_plain = self._console.options.ascii_only
        return (
            Text(f"{self._trainings.noun} {trial.number}"),
            Text(f"epoch {trial.epoch}"),
            Text(show_value(value)),
            Text("" if is_plain else curve(values)),
            Text(show_params(trial.configuration)),
        )

    def _counts(self) -> str:
        counts = self._trainings.trials.counts()
        total = len(self._trainings.trials)
        of = f" of {limit}" if (limit := self._most_trials) else ""
        waiting = len(self._trainings.trials.waiting)
        counts["running"] -= waiting
        by_state = [*counts.items(), ("waiting", waiting)]
        shown = [f"{count} {state}" for state, count in by_state if count]
        return f"{total}{of}: {', '.join(shown) or 'none yet'}"

    def _rungs(self) -> str:
        rungs = self._trainings.policy.rungs.by_epoch.values()
        return "   ".join(f"epoch {r.epoch}: {r.passed}/{r.entered} passed" for r in rungs)

    def _speed(self) -> str:
        if not self._has_begun():
            return "starting"
        speed = self._meter.tasks[0].speed
        return f"{speed:.1f} epochs/s" if speed else ""

    def _time_left(self) -> str:
        """A guess: the remaining trials cost as many epochs as those that ended did.

        Where trials wait, a budget of trials says how many epochs there will be in all.
        """
        limit = self._most_trials
        trials, speed = self._trainings.trials, self._meter.tasks[0].speed
        scheduler = self._trainings.policy.experiment.scheduler
        if limit is not None and speed and trials.waiting:
            planned = limit * scheduler.average_epochs
            return f"about {duration(max(0.0, (planned - trials.epochs) / speed))} left"
        ended = len(trials) - len(trials.running)
        if limit is None or not ended or not speed or self._trainings.is_finished:
            return ""
        running_epochs = sum(trial.epoch for trial in trials.running.values())
        per_trial = (trials.epochs - running_epochs) / ended
        return f"about {duration(max(0.0, (limit - ended) * per_trial / speed))} left"


def curve(values: Sequence[float]) -> str:
    """Values as a line of small bars, from their lowest to their highest; not finite: a gap."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    steps = len(_LEVELS) - 1
    if not 0 < high - low < math.inf:
        return "".join(_LEVELS[steps // 2] if math.isfinite(value) else " " for value in values)
    return "".join(
        _LEVELS[round((value - low) / (high - low) * steps)] if math.isfinite(value) else " "
        for value in values
    )
