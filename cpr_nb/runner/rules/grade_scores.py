"""The scores of a session that another one grades: they come from there, one by one."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.grader import score_of
from cpr_nb.runner.rules.neighbour import NeighbourSession
from cpr_nb.runner.rules.rule import Rule
from cpr_nb.store.files import is_locked
from cpr_nb.store.result_line import last_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from cpr_nb.runner.rules.rule import TaskEnd
    from cpr_nb.store.layout import SessionPaths

#: How often the session that grades is looked at.
_POLL_EVERY_S = 0.2
#: A session that grades and is not there after so long was never started, or was deleted.
_GONE_AFTER_S = 60.0
_FIELD = "structured_output"


class GradeScores(Rule):
    """Hands on the grades of a session's answers.

    Args:
        grading_id: The id of the session that grades.
        numbers: Task id → its number; the task that grades it has the same id.
        beside: The folder that both sessions lie in, seen from the working folder.
        decides: Whether the session decides something by its grades, so that it ends after them.
    """

    def __init__(
        self,
        grading_id: str,
        numbers: Mapping[str, int],
        beside: str = "..",
        *,
        decides: bool = False,
    ) -> None:
        self._decides = decides
        self._grading = NeighbourSession(grading_id, beside)
        self._numbers = numbers
        self._next_poll_at = 0.0
        self._waiting: set[int] = set()
        self._told: set[int] = set()
        self._gone_since: float | None = None

    def ended(self, task: int, end: TaskEnd) -> None:
        """A task has ended: from now on its grade is waited for.

        Not that of a skipped one: its grader waits for the end of this session, for it may run yet.
        """
        if task not in self._told and end.outcome != states.SKIPPED:
            self._waiting.add(task)

    def scores(self, now: float) -> Iterator[tuple[int, float | None]]:
        """The grades that came since; None for an answer that gets none."""
        if now < self._next_poll_at:
            return
        self._next_poll_at = now + _POLL_EVERY_S
        for task_id in self._grading.poll():
            number = self._numbers.get(task_id)
            if number is not None:
                self._told.add(number)
                self._waiting.discard(number)
                yield number, self._score(task_id)
        yield from self._without_grader(now)

    def is_waiting(self) -> bool:
        """Whether grades are to come that decide something; a dead runner is not waited for."""
        if not (self._decides and self._waiting) or self._grading.has_ended:
            return False
        return bool(is_locked(self._grading.paths))

    def _without_grader(self, now: float) -> Iterator[tuple[int, None]]:
        """The tasks that get no grade because nothing grades them."""
        if not self._grading.is_gone:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        elif now >= self._gone_since + _GONE_AFTER_S:
            waiting, self._waiting = self._waiting, set()
            for number in waiting:
                yield number, None

    def _score(self, task_id: str) -> float | None:
        end = self._grading.ends[task_id]
        if end["outcome"] != states.SUCCEEDED:
            return None
        return score_of(reply_of(self._grading.paths, task_id, end))


def reply_of(paths: SessionPaths, task_id: str, end: Mapping[str, Any]) -> object:
    """What a grader replied.

    Args:
        paths: The session that grades.
        task_id: The task that grades.
        end: What is known of its end.
    """
    stream = paths.newest_stream({"transaction_id": task_id, "attempts": end.get("attempts")})
    return (last_result(stream, _FIELD) or {}).get(_FIELD)
