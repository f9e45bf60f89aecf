"""What the loop knows about a task between its first intent and its end."""

from __future__ import annotations

from cpr_nb.model.outcome import Exit, trouble_note
from cpr_nb.runner.kept_file import KeptFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.events import RunFacts


class TaskRun:
    """One task under way.

    Args:
        task_id: The task's id.
        began_at: When its first attempt began, on the loop's clock.

    Attributes:
        number: Which attempt it is, from 1.
        started_s: When that started, in seconds since the epoch.
        conversation_id: Its conversation.
        exit: How its last attempt ended, once it is over.
        facts: What the stream of that attempt says.
        notes: What the user should know beside its outcome; one line each.
        duration_s: From the beginning of the first attempt to the end of the last.
        extra: Further figures for the record.
        lingers_since: Since when only commands keep its process alive, on the loop's clock.
        waits_for: What its process is shown to wait for, since its turn has ended; else empty.
        worktree: What our own helper said of its worktree; empty if it has none, or if only an
            earlier runner has prepared it.
        worktree_file: The record of that worktree, which its harvest needs; None if it has none.
        check_waits: Whether a check starts once that helper has replied.
        recorded: What is recorded of its end, if only its work is still to be saved; else empty.
    """

    __slots__ = (
        "began_at",
        "check_waits",
        "conversation_id",
        "duration_s",
        "exit",
        "extra",
        "facts",
        "lingers_since",
        "notes",
        "number",
        "recorded",
        "started_s",
        "task_id",
        "waits_for",
        "worktree",
        "worktree_file",
    )

    def __init__(self, task_id: str, began_at: float) -> None:
        self.task_id = task_id
        self.began_at = began_at
        self.number = 0
        self.started_s: float | None = None
        self.conversation_id = ""
        self.exit: Exit | None = None
        self.facts: RunFacts | None = None
        self.duration_s = 0.0
        self.extra: dict[str, Any] = {}
        self.notes: list[str] = []
        self.lingers_since: float | None = None
        self.waits_for = ""
        self.worktree: dict[str, Any] = {}
        self.worktree_file: KeptFile | None = None
        self.check_waits = False
        self.recorded: dict[str, Any] = {}

    def begin(self, number: int, conversation_id: str) -> None:
        """Notes that another attempt is about to start."""
        self.number, self.conversation_id = number, conversation_id
        self.exit, self.facts, self.extra, self.notes = None, None, {}, []
        self.lingers_since, self.waits_for = None, ""

    def end(self, now: float, exit_: Exit, facts: RunFacts | None, extra: dict[str, Any]) -> None:
        """Notes how that attempt ended."""
        self.exit, self.facts, self.extra = exit_, facts, extra
        if exit_.trouble is not None:
            self.notes.append(trouble_note(exit_.trouble))
        self.duration_s = now - self.began_at

    def release_worktree_file(self) -> None:
        """Leaves the record of its worktree to a helper; one that was removed is written again."""
        kept, self.worktree_file = self.worktree_file, None
        try:
            if kept is not None:
                kept.close()
        except OSError:
            pass  # the helper says what is missing
