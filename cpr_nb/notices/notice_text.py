"""What a notice says of a session: as a line for people, and as JSON for programs."""

from __future__ import annotations

from typing import Any

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.states import ON_DONE, ON_FAILED, ON_WAITING, QUESTION
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.views.formatting import clock, cost, plural
from cpr_nb.views.rows import session_row

_EVENTS = {ON_DONE: "done", ON_FAILED: "failed", ON_WAITING: "waiting"}
#: Columns of the session's row that go along.
_FIELDS = (
    *("session_id", "name", "state", "created_at", "ended_at", "duration_s", "cost_usd"),
    *("n_tasks", "n_pending", "n_running", "n_succeeded", "n_failed", "n_cancelled", "n_skipped"),
    *("n_denials", "n_questions"),
)
#: Those that only a program on this machine needs.
_LOCAL_FIELDS = ("path", "cwd", "host")
#: A task that was skipped for one of these reasons was not needed.
_NOT_NEEDED = ("decided", "not_needed", "pilot")
_LONGEST = 300


class Notice:
    """One notice of a session.

    Args:
        snapshot: The session, with its tasks.
        kind: ``on_done``, ``on_failed``, or ``on_waiting-`` and the reason.

    Attributes:
        event: ``done``, ``failed`` or ``waiting``.
        key: The same at each try, so that whoever gets it twice can tell.
    """

    __slots__ = ("_reason", "_snapshot", "event", "key")

    def __init__(self, snapshot: Snapshot, kind: str) -> None:
        option, _, self._reason = kind.partition("-")
        self._snapshot = snapshot
        self.event = _EVENTS[option]
        self.key = "-".join(filter(None, (snapshot.session_id, self.event, self._reason)))

    @property
    def title(self) -> str:
        """The session and what has become of it."""
        name = self._snapshot.head.get("name")
        label = one_line(str(name or self._snapshot.short_id), 60)
        words = {"done": "has ended", "failed": "has failures", "waiting": "waits"}
        return f"cpr: {label} {words[self.event]}"

    @property
    def text(self) -> str:
        """The figures, or what it waits for, and the command that shows more."""
        return f"{self._line}\ncpr status {self._snapshot.short_id}"

    @property
    def _line(self) -> str:
        snapshot = self._snapshot
        if self.event == "waiting":
            return one_line(self._awaited, _LONGEST)
        n_tasks, n_succeeded = snapshot.count("total"), snapshot.count("n_succeeded")
        parts = [f"{n_succeeded} of {plural(n_tasks, 'task')} succeeded"]
        for name, word in (
            ("n_failed", "failed"),
            ("n_cancelled", "cancelled"),
            ("n_skipped", "skipped"),
        ):
            if n := snapshot.count(name):
                parts.append(f"{n} {word}")
        line = ", ".join(parts)
        duration_s = session_row(snapshot, full=False)["duration_s"]
        figures = [cost(snapshot.head), clock(duration_s) if duration_s else ""]
        line = " · ".join([line, *filter(None, figures)])
        error = snapshot.head.get("error")
        return one_line(f"{line}: {error}" if isinstance(error, str) else line, _LONGEST)

    @property
    def _awaited(self) -> str:
        if self._reason == QUESTION:
            n = self._snapshot.count("n_questions")
            return f"an agent waits for an answer: cpr answer {self._snapshot.short_id}" + (
                f" ({plural(n, 'question')})" if n > 1 else ""
            )
        from cpr_nb.views.notice import notice

        # Of a full disk the status does not tell, for nothing could be written.
        is_so_still = self._reason in ("disk", self._snapshot.head.get("waiting_for"))
        return (notice(self._snapshot) if is_so_still else "") or f"it waited: {self._reason}"

    def as_json(self, *, local: bool) -> dict[str, Any]:
        """The notice for programs; what is unknown is null.

        Args:
            local: Whether the program is on this machine, and needs its paths.
        """
        row = session_row(self._snapshot)
        fields = (*_FIELDS, *(_LOCAL_FIELDS if local else ()))
        session = {name: row.get(name) for name in fields}
        return {
            "event": self.event,
            "waiting_for": self._reason or None,
            "key": self.key,
            "title": self.title,
            "text": self.text,
            "session": session,
        }


def has_failed(snapshot: Snapshot) -> bool:
    """Whether not all that was to run has succeeded; what a person cancelled is no failure.

    Args:
        snapshot: A session that has ended, with its tasks.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> has_failed(Snapshot(SessionPaths("/r/session-1"), {"n_failed": 1}, [], "completed"))
        True
    """
    if snapshot.state == states.ERROR or snapshot.head.get("error") or snapshot.count("n_failed"):
        return True
    skipped = (task for task in snapshot.tasks or () if task_state(task)[1] == states.SKIPPED)
    return any(task.get("reason") not in _NOT_NEEDED for task in skipped)
