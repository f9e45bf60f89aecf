"""A pilot: the rows outside it start only once somebody says so."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any

    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.rules.rule import TaskEnd

#: What the head of status.json says of a pilot.
RUNS, HAS_ENDED, REST_RUNS = "runs", "ended", "rest"

_OUTSIDE = Outcome(
    states.SKIPPED, "pilot", "outside the pilot; s.run_rest() or cpr resume --skipped runs it"
)


class Pilot(Rule):
    """Holds back what is outside the pilot, and closes it once the pilot has ended.

    Args:
        tasks: The tasks of the pilot.
        n_tasks: How many there are in all.
        order: The tasks in the order in which they start; None: as they are numbered.

    Example:
        >>> rule = Pilot([1], n_tasks=3)
        >>> rule.held(), rule.fields()
        ([0, 2], {'pilot': {'state': 'runs', 'n_tasks': 1, 'n_held': 2}})
    """

    def __init__(
        self, tasks: Collection[int], n_tasks: int, order: Sequence[int] | None = None
    ) -> None:
        self._left = set(tasks)
        self._n_tasks = len(self._left)
        outside = set(range(n_tasks)) - self._left
        self._outside = [task for task in order or range(n_tasks) if task in outside]
        self._was_reopened = self._is_rest_asked = self._is_released = self._is_closed = False

    @classmethod
    def of_session(cls, session: dict[str, Any], n_tasks: int) -> Pilot:
        """Makes the rule that the head of session.json asks for.

        Args:
            session: The head.
            n_tasks: How many tasks the session has.
        """
        return cls(session["pilot"]["tasks"], n_tasks, session.get("order"))

    def reopened(self, tasks: Collection[int]) -> None:
        """Skipped tasks are to run: those of the pilot first, if there are any left."""
        self._was_reopened = not set(self._outside).isdisjoint(tasks)

    def rest_asked(self) -> None:
        """Somebody wants the rest to run, too."""
        self._is_rest_asked = True

    def held(self) -> list[int]:
        """The tasks outside the pilot, until the rest is to run."""
        if self._may_rest_run():
            self._is_released = True
            return []
        return self._outside

    def _may_rest_run(self) -> bool:
        return self._is_rest_asked or (self._was_reopened and not self._left)

    def outcome_of(self, task: int, outcome: Outcome) -> Outcome:
        """How a task ends: nobody wanted those outside, so a cancel says nothing of them."""
        is_held = not self._is_released and task in self._outside
        return _OUTSIDE if is_held and outcome.outcome == states.CANCELLED else outcome

    def ended(self, task: int, end: TaskEnd) -> None:
        """A task has ended."""
        self._left.discard(task)

    def events(self, now: float) -> Iterator[Event]:
        """Lets the rest start, or closes it."""
        if self._is_released or self._is_closed:
            return
        if self._is_rest_asked:
            self._is_released = True
            for task in self._outside:
                yield messages.Release(now, task)
        elif not self._left:
            self._is_closed = True
            for task in self._outside:
                yield messages.Close(now, task, _OUTSIDE)

    def fields(self) -> dict[str, Any]:
        """How far the pilot is."""
        state = REST_RUNS if self._is_released else RUNS if self._left else HAS_ENDED
        n_held = 0 if self._is_released else len(self._outside)
        return {"pilot": {"state": state, "n_tasks": self._n_tasks, "n_held": n_held}}
