"""What status.json says about a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cpr_nb.handles.answering import SessionQuestions
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import visible_line
from cpr_nb.views.work_left import task_note


class TaskStatus:
    """The properties of a `Task` that status.json holds.

    Args:
        session: The session.
        index: The task's number, from 0.
    """

    def __init__(self, session: SessionQuestions, index: int) -> None:
        self._session = session
        self._index = index

    @property
    def fields(self) -> dict[str, Any]:
        """What status.json says about it now."""
        return self._session.fields(self._index)

    @property
    def num(self) -> int:
        """Its number in the session, from 1."""
        return self._index + 1

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.fields.get("transaction_id", ""))

    @property
    def prompt(self) -> str:
        """Its full prompt (in a legacy session only the first 50 characters)."""
        spec = self._session.task_spec(self._index)
        return str(spec.get("prompt") or self.fields.get("prompt", ""))

    @property
    def state(self) -> str:
        """One of pending, running, retrying, ended."""
        return task_state(self.fields)[0]

    @property
    def outcome(self) -> str | None:
        """How it ended, one of `cpr_nb.model.states.OUTCOMES`; None before."""
        return task_state(self.fields)[1]

    @property
    def reason(self) -> str | None:
        """Why it ended so, one of `cpr_nb.model.states.REASONS`; None before."""
        if self.outcome is None:
            return None
        default = "completed" if self.ok else "unknown"
        return str(self.fields.get("reason", default))

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.outcome == states.SUCCEEDED

    @property
    def error(self) -> str:
        """What went wrong, on one line; empty if nothing did."""
        return str(self.fields.get("error", ""))

    @property
    def note(self) -> str:
        """What you should know beside its outcome, on one line; empty if there is nothing."""
        return task_note(self.fields, self._session.snapshot.short_id)

    @property
    def cost_usd(self) -> float | None:
        """Its cost at list price, by the CLI's own estimate; None if it is not known."""
        cost = self.fields.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) else None

    @property
    def conversation_id(self) -> str | None:
        """Claude's own id of the conversation."""
        value = self.fields.get("conversation_id")
        return str(value) if value else None

    @property
    def attempts(self) -> int:
        """How often the CLI was started for it."""
        value = self.fields.get("attempts", 0)
        return value if isinstance(value, int) else 0

    @property
    def stream_path(self) -> Path:
        """The stream-json of its last attempt."""
        return Path(self._session.paths.newest_stream(self.fields))

    def __repr__(self) -> str:
        state = self.outcome or self.state
        return visible_line(f"<Task {self.num} {self.id} {state}>")
