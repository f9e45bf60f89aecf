"""Icons, dates and words for the terminal, as claude-parallel-runner.pl prints them."""

from __future__ import annotations

import sys
import time

from cpr_nb.model import states
from cpr_nb.model.record import is_unsaved, task_state
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.work_left import NOT_SAVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.denial_summary import DenialSummary

ICONS = {
    states.SUCCEEDED: "✅",
    states.FAILED: "❌",
    states.TIMED_OUT: "❌",
    states.LOST: "❌",
    states.CANCELLED: "🚫",
    states.SKIPPED: "🚫",
    states.COMPLETED: "✅",
    states.ERROR: "❌",
    states.IMPORTED: "📥",
    states.PLANNED: "🕓",
    states.INTERRUPTED: "❌",
    states.UNREACHABLE: "❓",
    states.UNREADABLE: "❓",
    states.STALE: "❓",
}
WAIT_ICON = "⏳"


def format_date(epoch_s: float | None) -> str:
    """Returns a local time as claude-parallel-runner.pl prints it.

    Example:
        >>> len(format_date(0.0))
        24
    """
    if epoch_s is None:
        return "unknown"
    try:
        return time.ctime(epoch_s)
    except (OverflowError, ValueError, OSError):
        return "unknown"


def task_word(task: dict[str, Any]) -> str:
    """Returns a task's state: the word of claude-parallel-runner.pl, then ours in parentheses."""
    state, outcome = task_state(task)
    if outcome is None:
        return state
    details = [] if outcome == states.SUCCEEDED else [outcome]
    reason = task.get("reason")
    if details and reason and reason not in (outcome, "unknown"):
        details = [f"{outcome}: {reason}"]
    if task.get("n_denials"):
        details = [*(details or [outcome]), f"{task['n_denials']} denied"]
    if is_unsaved(task):
        details = [*(details or [outcome]), NOT_SAVED]
    return f"completed ({', '.join(details)})" if details else "completed"


def task_icon(task: dict[str, Any]) -> str:
    """Returns the icon of a task's line."""
    return ICONS.get(task_state(task)[1] or "", WAIT_ICON)


def session_start(snapshot: Snapshot) -> float | None:
    """Returns when a session was started, in seconds since the epoch."""
    start = snapshot.head.get("start_time")
    return start if isinstance(start, int | float) else None


def program() -> str:
    """Returns how to call this command again: ``cpr``, or its path where PATH lacks it."""
    import os

    from cpr_nb.store.programs import find_program

    called = sys.argv[0]
    on_path = find_program("cpr", os.environ)
    if os.path.basename(called) != "cpr" or (on_path and os.path.samefile(on_path, called)):
        return "cpr"
    return called


def denial_lines(n_denials: int, summary: DenialSummary | None) -> list[str]:
    """Returns lines that count denied tool calls, and name the options to allow them.

    Args:
        n_denials: How many calls were denied.
        summary: What helps against it; None if it is not known.

    Example:
        >>> from cpr_nb.model.denial_summary import DenialSummary
        >>> denial_lines(1, DenialSummary([{"tool_name": "WebSearch"}]))
        ['1 tool call was denied; to allow it: --allow WebSearch']
    """
    calls, them = ("call was", "it") if n_denials == 1 else ("calls were", "them")
    options = allow_options(summary) if summary else ""
    hint = f"; to allow {them}: {options}" if options else ""
    notes = summary.notes() if summary else []
    return [f"{n_denials} tool {calls} denied{hint}", *notes]


def allow_options(summary: DenialSummary) -> str:
    """Returns the options that would allow what was denied, ready to paste."""
    import shlex  # only where there is something to say

    return " ".join(f"--allow {shlex.quote(rule)}" for rule in summary.rules)


def local_clock(iso: object) -> str:
    """Returns the local time of day of an ISO 8601 time, or nothing for what is no time."""
    epoch_s = parse_iso(iso)
    return time.strftime("%H:%M:%S", time.localtime(epoch_s)) if epoch_s is not None else ""
