"""The rule of a session that grades: an answer is graded as soon as its task has ended."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.rules.neighbour import NeighbourSession
from cpr_nb.runner.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.rules.rule import TaskEnd

#: How often the sessions that it grades are looked at.
_POLL_EVERY_S = 0.2
_GONE = "the session that it was to grade is gone"


class GradingRule(Rule):
    """Holds each task back until there is the answer that it grades.

    What did not succeed has no answer: its grader is skipped. What its session has skipped may
    still run, so that grader is skipped last, when nothing else is left to wait for.

    Args:
        graded: What each task grades: the id of a session, and that of a task.
        beside: The folder that the sessions lie in, seen from the working folder.
    """

    def __init__(self, graded: Iterable[tuple[str, str]], beside: str = "..") -> None:
        pairs = list(graded)
        self._numbers: dict[str, dict[str, int]] = {}
        for number, (session_id, task_id) in enumerate(pairs):
            self._numbers.setdefault(session_id, {})[task_id] = number
        self._sources = {one: NeighbourSession(one, beside) for one in self._numbers}
        self._n_tasks = len(pairs)
        self._open = set(range(len(pairs)))
        self._told: set[int] = set()
        self._next_poll_at = 0.0

    def held(self) -> Collection[int]:
        """All of them: each waits for an answer."""
        return range(self._n_tasks)

    def ended(self, task: int, end: TaskEnd) -> None:
        """A grader has ended."""
        self._open.discard(task)

    def events(self, now: float) -> Iterator[Event]:
        """Lets those start whose answers are there."""
        if now < self._next_poll_at:
            return
        self._next_poll_at = now + _POLL_EVERY_S
        for session_id, source in self._sources.items():
            numbers = self._numbers[session_id]
            for task_id in source.poll():
                number = numbers.get(task_id)
                if number is not None:
                    yield from self._answer_came(now, number, source.ends[task_id])
        yield from self._close_rest(now)

    def _answer_came(self, now: float, number: int, end: dict[str, Any]) -> Iterator[Event]:
        outcome = end["outcome"]
        if number not in self._open or number in self._told or outcome == states.SKIPPED:
            return
        self._told.add(number)
        if outcome == states.SUCCEEDED:
            yield messages.Release(now, number)
        else:
            yield _close(now, number, f"there is no answer to grade: its task {_words(end)}")

    def _close_rest(self, now: float) -> Iterator[Event]:
        """Skips what waits for an answer that does not come, once it is all that is left."""
        left = self._open - self._told
        if not left or self._open & self._told:
            return
        for session_id, source in self._sources.items():
            here = self._numbers[session_id].items()
            waiting = {task_id: number for task_id, number in here if number in left}
            if not waiting or not (source.has_ended or source.is_gone):
                continue
            for task_id, number in waiting.items():
                end = source.ends.get(task_id)
                why = _GONE if end is None else f"its task {_words(end)}"
                yield _close(now, number, f"there is no answer to grade: {why}")

    def fields(self) -> dict[str, Any]:
        """How many answers it waits for."""
        return {"n_awaited": len(self._open - self._told)}


def _close(now: float, number: int, why: str) -> messages.Close:
    return messages.Close(now, number, Outcome(states.SKIPPED, "not_needed", why))


def _words(end: dict[str, Any]) -> str:
    outcome, reason = end["outcome"], end["reason"]
    return str(outcome) if outcome == reason else f"{outcome} ({reason})"
