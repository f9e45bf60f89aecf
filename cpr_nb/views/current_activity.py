"""What each task of a session does now, or what came of it: one line, read as it grows."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.activity import Activity
from cpr_nb.model.events import parse_line
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.tail import Follower
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ANSWER_BYTES = 2048  # the first line of an answer is in these, or its beginning is


class Doing:
    """Follows the tasks of one session; each look reads only what is new.

    Args:
        paths: The session's paths.
        cwd: Its folder; files below it are named without it.

    Example:
        >>> doing = Doing(SessionPaths("/no/such/session-1"))
        >>> doing.line({"transaction_id": "a", "state": "pending"})
        ('', None)
    """

    def __init__(self, paths: SessionPaths, cwd: str = "") -> None:
        self._paths = paths
        self._cwd = cwd
        self._followed: dict[str, tuple[str, Follower, Activity]] = {}
        self._answers: dict[str, str] = {}

    def line(
        self, task: dict[str, Any], limit_bytes: int | None = None
    ) -> tuple[str, float | None]:
        """What there is to say of a task.

        Args:
            task: Its fields in status.json.
            limit_bytes: How much of its stream to read at most in this look.

        Returns:
            One line, and since when the tool runs that it names (seconds since the epoch).
        """
        state, outcome = task_state(task)
        task_id = str(task.get("transaction_id", ""))
        if state == states.RUNNING:
            return self._activity(task_id, task, limit_bytes)
        self._followed.pop(task_id, None)
        if state == states.PENDING:
            return "", None
        if outcome != states.SUCCEEDED:
            why = ": ".join(str(task[k]) for k in ("reason", "error") if task.get(k))
            return one_line(why), None
        if task_id not in self._answers:
            self._answers[task_id] = self._answer(task_id)
        return self._answers[task_id], None

    def _activity(
        self, task_id: str, task: dict[str, Any], limit_bytes: int | None
    ) -> tuple[str, float | None]:
        attempt = task.get("attempts")
        path = self._paths.stream(task_id, attempt if isinstance(attempt, int) else 1)
        known = self._followed.get(task_id)
        if known is None or known[0] != path:  # each attempt has its own
            known = self._followed[task_id] = (path, Follower(path), Activity(self._cwd))
        _, follower, activity = known
        for line in follower.new_lines(limit_bytes):
            event = parse_line(line)
            if event is not None:
                activity.feed(event)
        return activity.now, parse_iso(activity.tool_started_at) if activity.tool_running else None

    def _answer(self, task_id: str) -> str:
        try:
            with open_regular(self._paths.answer(task_id)) as file:
                text = file.read(_ANSWER_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):  # ValueError: a stranger's id with a NUL
            return ""
        return one_line(strip_controls(text), 120)
