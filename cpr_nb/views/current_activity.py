"""What each task of a session does now, or how it ended: one line, read as it grows."""

from __future__ import annotations

import re

from cpr_nb.model import states
from cpr_nb.model.activity import Activity
from cpr_nb.model.events import RunFacts, parse_line
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.store.tail import Follower
from cpr_nb.store.times import parse_iso
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ANSWER_BYTES = 2048  # enough for the first line of an answer, or its beginning
# Marks of Markdown that a line of plain text does not need: of headings, bold text and code.
_MARKS = re.compile(r"^#{1,6} +|\*\*(?=\S)(.+?)(?<=\S)\*\*|(?<!`)`([^`\n]+)`(?!`)", re.MULTILINE)


class ActivityFollower:
    """Follows the tasks of one session; each call reads only what is new.

    Args:
        paths: The session's paths.
        cwd: Its folder; files below it are named without it.

    Example:
        >>> follower = ActivityFollower(SessionPaths("/no/such/session-1"))
        >>> follower.describe({"transaction_id": "a", "state": "pending"})
        ('', None)
    """

    def __init__(self, paths: SessionPaths, cwd: str = "") -> None:
        self._paths = paths
        self._cwd = cwd
        self._short_id = Snapshot(paths, {}, [], states.COMPLETED).short_id
        self._followed: dict[str, tuple[str, Follower, Activity, RunFacts]] = {}
        self._answers: dict[str, str] = {}

    def describe(
        self, task: dict[str, Any], limit_bytes: int | None = None
    ) -> tuple[str, float | None]:
        """Describes a task.

        Args:
            task: Its fields in status.json.
            limit_bytes: How much of its stream to read at most in this call.

        Returns:
            One line, and when the tool that it names started (seconds since the epoch).
        """
        state, outcome = task_state(task)
        task_id = str(task.get("transaction_id", ""))
        if state == states.RUNNING and task.get("note"):  # its turn ended, and its process waits
            return self._with_note(task, ""), None
        if state == states.RUNNING:
            return self._describe_running(task_id, task, limit_bytes)
        self._followed.pop(task_id, None)
        if state == states.PENDING:
            return "", None
        if outcome != states.SUCCEEDED:
            reasons = [str(task[name]) for name in ("reason", "error") if task.get(name)]
            return self._with_note(task, one_line(": ".join(reasons))), None
        if task_id not in self._answers:
            self._answers[task_id] = self._read_answer(task_id)
        return self._with_note(task, self._answers[task_id]), None

    def facts(self, task: dict[str, Any]) -> RunFacts | None:
        """The facts of a running task's stream, as far as `describe` has read it, or None.

        Args:
            task: Its fields in status.json.
        """
        followed = self._followed.get(str(task.get("transaction_id", "")))
        is_newest = followed is not None and followed[0] == self._paths.newest_stream(task)
        return followed[3] if followed is not None and is_newest else None

    def _with_note(self, task: dict[str, Any], line: str) -> str:
        """A task's line after its note, which a long answer must not hide."""
        note = task_note(task, self._short_id)
        return " · ".join(part for part in (note, line) if part)

    def _describe_running(
        self, task_id: str, task: dict[str, Any], limit_bytes: int | None
    ) -> tuple[str, float | None]:
        path = self._paths.newest_stream(task)
        followed = self._followed.get(task_id)
        if followed is None or followed[0] != path:  # each attempt has its own
            new = (path, Follower(path), Activity(self._cwd), RunFacts())
            followed = self._followed[task_id] = new
        _, follower, activity, facts = followed
        for line in follower.new_lines(limit_bytes):
            event = parse_line(line)
            if event is not None:
                activity.feed(event)
                facts.feed_event(event)
        return activity.now, parse_iso(activity.tool_started_at) if activity.tool_running else None

    def _read_answer(self, task_id: str) -> str:
        try:
            with open_regular(self._paths.answer(task_id)) as file:
                text = file.read(_ANSWER_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
            return ""
        return answer_line(text)


def answer_line(text: str) -> str:
    r"""The beginning of an answer on one line, without Markdown's marks of headings, bold and code.

    Example:
        >>> answer_line("## Two **bugs**\n\nSee `a.py`: 2 ** 3")
        'Two bugs See a.py: 2 ** 3'
    """
    return one_line(_MARKS.sub(r"\1\2", text), 120)
