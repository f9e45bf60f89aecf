"""What a rule of a session is asked, and what it is told of the end of a task."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from cpr_nb.model.outcome import Outcome
    from cpr_nb.runner.messages import Event


class TaskEnd:
    """The end of a task, as far as rules need it.

    Args:
        outcome: One of `cpr_nb.model.states.OUTCOMES`.
        reason: One of `cpr_nb.model.states.REASONS`.
        score: Its score; None if it has none, or none yet.
        cost_usd: What it cost in US dollars, or None if that is unknown.
        duration_s: How long it took, or None.
    """

    __slots__ = ("cost_usd", "duration_s", "outcome", "reason", "score")

    def __init__(
        self,
        outcome: str,
        reason: str,
        score: float | None = None,
        cost_usd: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        self.outcome = outcome
        self.reason = reason
        self.score = score
        self.cost_usd = cost_usd
        self.duration_s = duration_s


class Rule:
    """Decides which tasks need not run. Pure: what it decides follows from what it was told.

    A later runner tells it the ends of earlier ones again, in the order of the tasks' numbers.
    """

    def reopened(self, tasks: Collection[int]) -> None:
        """The session had ended, and these tasks that it had skipped were to run after all."""

    def rest_asked(self) -> None:
        """Somebody wants what it holds back to run, too."""

    def held(self) -> Iterable[int]:
        """The tasks that must not start before a `messages.Release`."""
        return ()

    def outcome_of(self, task: int, outcome: Outcome) -> Outcome:
        """How a task ends that is about to end like this."""
        return outcome

    def ended(self, task: int, end: TaskEnd) -> None:
        """A task has ended."""

    def scores(self, now: float) -> Iterable[tuple[int, float | None]]:
        """The scores that came since it was last asked; None for a task that will have none."""
        return ()

    def is_waiting(self) -> bool:
        """Whether the session must not end yet, because scores are still to come."""
        return False

    def scored(self, task: int, score: float | None) -> None:
        """A task got its score after its end; None: it will have none."""

    def events(self, now: float) -> Iterable[Event]:
        """What follows from what it was told since it was last asked.

        Args:
            now: The time that goes into the events.

        Returns:
            ``Close`` for tasks that need not start, ``Cancel`` for those that need not go on,
            ``Release`` for those that may start now.
        """
        return ()

    def fields(self) -> dict[str, Any]:
        """What the head of status.json says of it."""
        return {}
