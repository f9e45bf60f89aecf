"""What went wrong in a task: its reason, what was denied and what allows it, its logs' ends."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.denials import advise
from cpr_nb.model.json_values import integer
from cpr_nb.model.record import is_kept, is_unsaved, task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import SessionPaths
from cpr_nb.views.stream_denials import read_denials
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TAIL_BYTES = 20_000


def error_text(
    paths: SessionPaths, task: dict[str, Any], short_id: str, tail_bytes: int = _TAIL_BYTES
) -> str:
    """Returns what went wrong, what was denied, and the ends of stderr and other logs.

    Args:
        paths: The session's paths.
        task: The task's fields in status.json.
        short_id: The session's id as a person types it.
        tail_bytes: How much of each log to show.

    Example:
        >>> task = {"state": "ended", "outcome": "lost", "error": "no trace"}
        >>> error_text(SessionPaths("/no/such/session-1"), task, "3f2a")
        'lost: no trace'
    """
    parts = []
    _, outcome = task_state(task)
    if outcome not in (None, states.SUCCEEDED):
        reasons = [str(task[name]) for name in ("reason", "error") if task.get(name)]
        parts.append(": ".join([str(outcome), *reasons]))
    if is_unsaved(task) or is_kept(task):
        parts.append(task_note(task, short_id))
    parts += _denials(paths, task)
    key = str(task.get("transaction_id", ""))
    logs = {
        "stderr": paths.stderr(key, integer(task.get("attempts")) or 1),
        "check": paths.check(key),
        "worktree set-up": paths.setup(key),
    }
    for name, path in logs.items():
        text = read_text(path, tail_bytes).strip()
        if text:
            parts.append(f"{name} ({path}):\n{text}")
    return "\n\n".join(parts)


def _denials(paths: SessionPaths, task: dict[str, Any]) -> list[str]:
    """Returns a text per denied tool call: why, and the call that allows it."""
    if not task.get("n_denials"):
        return []
    parts = []
    for denial in read_denials(paths.newest_stream(task)):
        advice = advise(denial)
        lines = [f"denied: {denial.get('tool_name')} ({advice.reason})"]
        rules = [one_line(rule, 400) for rule in advice.rules]
        if rules:
            lines.append(f"to allow: s.retry(allow={rules!r})")
        lines += [f"{rule} {warning}" for rule, warning in advice.warnings.items()]
        parts.append("\n".join(lines))
    return parts


def read_text(path: str, tail_bytes: int | None = None) -> str:
    """Returns the text of a file, or its end; empty if it can't be read.

    Args:
        path: The file.
        tail_bytes: How much of its end; None for all of it.
    """
    try:
        with open_regular(path) as file:
            if tail_bytes is not None:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - tail_bytes))
            return file.read().decode("utf-8", "replace")
    except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
        return ""
