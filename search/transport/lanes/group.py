"""The trials of a lane group: whom it lets go after an epoch, whom it takes. It knows no Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from search.control.dispatcher import Dispatcher
from trainables.worker.messages import Assignment, Outcome

_ATTEMPTS_TOGETHER = 1  # a trial that had more of them goes on alone after the next death


class Group:
    """The trials that one process trains together.

    Args:
        dispatcher: gives trials out, and takes what they answer.
        lanes: how many there may be now.
    """

    def __init__(self, dispatcher: Dispatcher, lanes: Callable[[], int]) -> None:
        self._dispatcher = dispatcher
        self._lanes = lanes
        self._running: set[int] = set()
        self._waiting: deque[int] = deque()  # those that must go on alone, one after another
        self._is_alone = False  # whether the one that runs must

    def __len__(self) -> int:
        return len(self._running)

    @property
    def trials(self) -> frozenset[int]:
        """The numbers of those that its process trains."""
        return frozenset(self._running)

    def fill(self) -> list[Assignment]:
        """The trials that it takes besides those that it has; none: there is no work now."""
        if not self._running:
            self._is_alone = bool(self._waiting)
            if self._waiting:
                return self._next_alone()
        taken: list[Assignment] = []
        while not self._is_alone and not self._waiting and len(self) < self._lanes():
            if (assignment := self._dispatcher.next()) is None:
                break
            taken.append(self._given(assignment))
        return taken

    def _next_alone(self) -> list[Assignment]:
        trial = self._dispatcher.controller.trials.by_number[self._waiting.popleft()]
        assignment = self._dispatcher.assignment(trial)
        return self.fill() if assignment is None else [self._given(assignment)]

    def _given(self, assignment: Assignment) -> Assignment:
        self._running.add(assignment.trial)
        return assignment

    def started(self) -> None:
        """Its process has taken its trials."""
        for number in self._running:
            self._dispatcher.hung_trials.begin(number)

    def _let_go(self, number: int) -> None:
        self._running.discard(number)
        self._dispatcher.hung_trials.forget(number)

    def answered(
        self, outcomes: Iterable[tuple[int, Outcome]], process: str
    ) -> tuple[list[int], list[Assignment]]:
        """Hand in an epoch of all trials; returns those that end here, and those that begin.

        Args:
            outcomes: with the trials' numbers.
            process: which has trained them.
        """
        dropped: list[int] = []
        taken: list[Assignment] = []
        for number, outcome in outcomes:
            if number not in self._running:  # it has gone meanwhile
                continue
            if outcome.lost is not None:
                taken += self._begin_again(number, outcome.lost, outcome.shared)
                continue
            self._dispatcher.heard(number, process)
            if self._dispatcher.take(number, outcome) != "continue":
                dropped.append(number)
                self._let_go(number)
        taken += self.fill()
        for assignment in taken:
            self._dispatcher.hung_trials.begin(assignment.trial)
        return dropped, taken

    def _begin_again(self, number: int, reason: str, shared: bool) -> list[Assignment]:
        """A trial can only go on from its checkpoint; none: it does not go on.

        Args:
            shared: whether others were lost with it: it fails for none of their faults.
        """
        self._let_go(number)
        if not shared and self._dispatcher.controller.attempts_left(number) <= 0:
            self._dispatcher.given_up(number, reason)
        elif (assignment := self._dispatcher.restarted(number, reason, shared)) is not None:
            return [self._given(assignment)]
        return []

    def died(self, reason: str) -> list[Assignment]:
        """Its process died, and with it all trainings; returns with which it starts again.

        Where it trained several, none of them fails; those that can't afford another death, and
        those to which it happened before, go on one by one, for one of them may be to blame.
        """
        again: list[Assignment] = []
        controller, shared = self._dispatcher.controller, len(self._running) > 1
        for number in sorted(self._running):
            taken = self._begin_again(number, reason, shared)
            attempts = controller.trials.by_number[number].attempts
            must_wait = attempts > _ATTEMPTS_TOGETHER or controller.attempts_left(number) <= 0
            if taken and shared and must_wait:
                self._let_go(number)
                self._waiting.append(number)
            else:
                again += taken
        if shared:
            self._is_alone = False
        return again or self.fill()

    def hand_back(self) -> None:
        """It does not start again: others get its trials."""
        for number in sorted({*self._running, *self._waiting}, reverse=True):
            self._let_go(number)
            self._dispatcher.controller.hand_back(number)
        self._waiting.clear()
