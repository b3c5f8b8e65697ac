"""The failures with which a session begins: not recorded before anything has succeeded."""

from __future__ import annotations

from spaces.problems import RunError

ENOUGH = 3  # failures, all for one reason, after which no further training is handed out


class FirstFailures:
    """Holds back the first failures of a session.

    When all that is trained fails for the same reason, the fault lies in what surrounds the code,
    such as a file that is not there, and not in the configurations. None of them is then recorded
    as failed, so that each is trained again once that is mended.

    Args:
        keep_going: record failures at once, and go on whatever fails.
    """

    def __init__(self, keep_going: bool) -> None:
        self.keep_going = keep_going
        self.held: dict[int, str] = {}  # by number: the reason
        self._is_over = keep_going

    @property
    def are_enough(self) -> bool:
        """Whether nothing shall be handed out until one of those that run has succeeded."""
        return len(self.held) >= ENOUGH

    def hold(self, number: int, reason: str) -> bool:
        """Hold a failure back; returns False when it has another reason than those before."""
        if self._is_over or any(_key(reason) != _key(other) for other in self.held.values()):
            return False
        self.held[number] = reason
        return True

    def release(self) -> dict[int, str]:
        """End the holding back; returns what was held."""
        self._is_over = True
        held, self.held = self.held, {}
        return held

    def check(self, noun: str) -> None:
        """See, when a session ends, that it did not consist of such failures alone.

        Args:
            noun: what a training is called.

        Raises:
            RunError: when it did.
        """
        if self.held:
            count, reason = len(self.held), next(iter(self.held.values()))
            first = f"the first {count} {noun}s" if count > 1 else f"the first {noun}"
            raise end_of_session(f"{first} of this session failed, and nothing succeeded", reason)


def end_of_session(what: str, reason: str) -> RunError:
    """Why a session ends at the first failures; they are not recorded."""
    rule = "so the search stops here, and none counts as tried"
    return RunError(
        f"{what}, {rule} (--keep-going counts them as failed, and searches on):\n{reason.strip()}"
    )


def _key(reason: str) -> tuple[str, str]:
    """What makes two reasons the same: the kind of error, and the line of code that raised it."""
    lines = reason.strip().splitlines() or [""]
    places = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    return (lines[-1].partition(":")[0], places[-1]) if places else (lines[-1], "")
