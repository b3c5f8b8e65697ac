"""What to try next, and which waiting trial to go on with, by what a run has reported."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from analysis.record.events import Created, Event, Finished, Report
from analysis.record.trials import Trial, Trials
from search.surrogate.observations import Observations, stages_of
from search.surrogate.points import Array, points_of, unlike
from search.surrogate.process import Kernel, Places, Posterior, Seen, View, fit, usual_kernel
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.seeds import derive_seed

ENOUGH = 8  # values, before which configurations are drawn at random
_MORE = 1.25  # times as many values, after which the kernel is fitted anew
_AT_RANDOM = 0.1  # of the proposals, for ever: so a search can't be blind to a region for long
_MOST_FITTED, _MOST_SEEN = 200, 400  # values, that a proposal may not take too long
_DRAWN, _NEAR, _PARENTS, _RIVALS, _LOOKED_AT = 200, 100, 10, 20, 48


class Belief(NamedTuple):
    """What is known now: a process, the trials it has seen, best first, and the best of them."""

    posterior: Posterior
    trials: Places
    points: Array
    rivals: View


class Surrogate:
    """A Gaussian process over the learning curves of a run; ``process`` says what it assumes.

    What a training is worth is the gain that is expected of it for each epoch: by how much the
    highest mean at the last epoch is expected to rise by what is seen at a stage, divided by the
    epochs up to there, at the stage where that is highest. Looked at are the point itself and the
    best ones so far, each against the best. (Knowledge gradient: Frazier et al., 2009; between new
    and waiting trials: freeze-thaw, arXiv 1406.3896.)

    Every answer is a function of the experiment's seed, the trial number, and the events so far.

    Args:
        experiment: the search.
        trials: how it stands; every event is applied to it first.
    """

    def __init__(self, experiment: Experiment, trials: Trials) -> None:
        self._seed, self._metric = experiment.seed, experiment.metric
        self._trials = trials
        self._stages = stages_of(experiment.scheduler)
        self._points = points_of(experiment.search_space)
        self._observations = Observations(self._metric, self._stages)
        self._rows: dict[int, Array] = {}
        self._tried: set[bytes] = set()  # the same
        self._kernel: tuple[int, Kernel] | None = None  # fitted to so many observations
        self._belief: Belief | None = None
        self._threads = ThreadpoolController()

    def take(self, event: Event) -> None:
        """Take in an event that was applied to the trials."""
        self._belief = None
        if isinstance(event, Created):
            row = self._rows[event.trial] = self._points.row(event.params)
            self._tried.add(row.tobytes())
        elif isinstance(event, Report):
            self._observations.report(self._trials.by_number[event.trial])
        elif isinstance(event, Finished):
            self._observations.end(self._trials.by_number[event.trial])

    def propose(self, number: int) -> Params | None:
        """The configuration of which most is expected; None: it shall be drawn at random.

        Args:
            number: of the trial.
        """
        random = np.random.default_rng(derive_seed(self._seed, "surrogate", number))
        is_early = len(self._observations) < ENOUGH or not self._points.names
        if is_early or random.random() < _AT_RANDOM:
            return None
        with self._threads.limit(limits=1):
            belief = self._believe()
            parents = belief.points[:_PARENTS]
            rows = self._points.random(_DRAWN, random)
            near = self._points.near(parents[random.integers(0, len(parents), _NEAR)], random)
            rows, worths = self._most_worth(belief, np.vstack([rows, near]))
            nearer = self._points.near(rows[random.integers(0, 5, _NEAR) % len(rows)], random)
            again, worths_again = self._most_worth(belief, nearer)
            best = rows[0] if worths[0] >= worths_again[0] else again[0]
        return self._points.params(best)

    def _most_worth(self, belief: Belief, rows: Array) -> tuple[Array, Array]:
        """Those of some points that are worth most, the best first, and what each is worth."""
        rows = unlike(rows, self._tried)
        view = belief.posterior.view(rows)
        best = np.argsort(-(view.means + belief.posterior.spreads(view)), kind="stable")
        looked_at = view.of(best[:_LOOKED_AT])
        worths = self._worth_of_new(belief, looked_at)
        order = np.argsort(-worths, kind="stable")
        return looked_at.points[order], worths[order]

    def _worth_of_new(self, belief: Belief, view: View) -> Array:
        count = len(view.points)
        return self._worth(belief, view, np.full(count, -1), np.zeros(count))

    def _worth(self, belief: Belief, view: View, trials: Places, reached: Array) -> Array:
        """What it is worth to train each of some trials further than it has reached."""
        rivals = belief.rivals
        own, of_rivals = belief.posterior.moves(view, trials, rivals)
        moves = np.concatenate([of_rivals, own[:, None]], axis=1) - of_rivals[:, :1]
        means = np.repeat(rivals.means[:, None], len(trials), axis=1)
        behind = np.vstack([means, view.means])
        gains = _gain(behind - rivals.means[0], moves).max(axis=1)
        epochs = np.array(self._stages, dtype=float)[:, None] - reached
        per_epoch = np.where(epochs > 0, gains / np.maximum(epochs, 1.0), 0.0)
        best: Array = per_epoch.max(axis=0)
        return best

    def choose(self, params: Params | None) -> Trial | None:
        """The waiting trial that is worth more than a new one; None: none is.

        Args:
            params: of the new one; None: there will be none.
        """
        waiting = self._trials.waiting
        if not waiting or (params is not None and len(self._observations) < ENOUGH):
            return None
        with self._threads.limit(limits=1):
            belief = self._believe()
            waits = [number in waiting for number in belief.trials.tolist()]
            at = np.flatnonzero(waits)[:_LOOKED_AT]
            if not len(at):  # none of them is among those that are shown
                return None if params is not None else self._best_of(waiting.values())
            worths = self._worth_of_waiting(belief, at)
            best = int(np.argmax(worths))
            if params is not None:
                new = belief.posterior.view(self._points.row(params)[None])
                if self._worth_of_new(belief, new)[0] >= worths[best]:
                    return None
        return waiting[int(belief.trials[at[best]])]

    def _worth_of_waiting(self, belief: Belief, at: Places) -> Array:
        reached = [self._trials.by_number[number].epoch for number in belief.trials[at].tolist()]
        view = belief.posterior.view(belief.points[at])
        return self._worth(belief, view, belief.trials[at], np.array(reached, float))

    def _best_of(self, trials: Iterable[Trial]) -> Trial:
        """By the values that they have reported."""
        metric = self._metric
        return min(trials, key=lambda trial: metric.cost(metric.of(trial.scored(metric))))

    def leader(self) -> Trial | None:
        """The trial whose configuration is expected to be the best; None before any report."""
        if not len(self._observations):
            return None
        with self._threads.limit(limits=1):
            return self._trials.by_number[int(self._believe().trials[0])]

    def _believe(self) -> Belief:
        if self._belief is None:
            seen = self._seen(len(self._observations), _MOST_SEEN)
            posterior = Posterior(self._points, self._kernel_now(), seen, self._pending())
            trials, first = np.unique(seen.trials, return_index=True)
            order = np.argsort(-posterior.means(seen.points[first]), kind="stable")
            points = seen.points[first][order]
            rivals = posterior.view(points[:_RIVALS])
            self._belief = Belief(posterior, trials[order], points, rivals)
        return self._belief

    def _kernel_now(self) -> Kernel:
        """The kernel, fitted to the observations that there were at the last of some counts."""
        count = len(self._observations)
        if count < ENOUGH:
            return usual_kernel(len(self._points.names), len(self._stages))
        at = ENOUGH
        while (following := int(at * _MORE) + 1) <= count:
            at = following
        if self._kernel is None or self._kernel[0] != at:
            seen = self._seen(at, _MOST_FITTED)
            self._kernel = at, fit(seen, self._points, len(self._stages))
        return self._kernel[1]

    def _seen(self, count: int, most: int) -> Seen:
        """The first so many observations, or a part of them."""
        stages, trials, values = self._observations.shown(count, most)
        return Seen(self._rows_of(trials), stages, trials, values)

    def _pending(self) -> Seen:
        """What the running trials will report at their next stage."""
        running = self._trials.in_training
        trials = np.array([trial.number for trial in running], dtype=int)
        stages = np.array([self._observations.next_stage(t.epoch) for t in running], dtype=int)
        return Seen(self._rows_of(trials), stages, trials, np.zeros(len(trials)))

    def _rows_of(self, trials: Places) -> Array:
        rows = np.empty((len(trials), len(self._points.names)))
        for place, number in enumerate(trials.tolist()):
            rows[place] = self._rows[number]
        return rows


def _gain(ahead: Array, moves: Array) -> Array:
    """By how much the better of two is expected to be better than the one that leads now.

    Args:
        ahead: by how much the mean of the other is above that of the leader.
        moves: the standard deviation by which their difference will move.
    """
    moves = np.maximum(np.abs(moves), 1e-12)
    far = np.abs(ahead) / moves
    gain: Array = moves * (np.exp(-(far**2) / 2) / math.sqrt(2 * math.pi) - far * ndtr(-far))
    return np.maximum(gain, 0.0)
