"""Plain text for the terminal: each line begins as claude-parallel-runner.pl prints it."""

from __future__ import annotations

import sys
import time

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import strip_controls
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.formatting import clock, cost, tokens, usd
from cpr_nb.views.notice import notice
from cpr_nb.views.rows import session_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

ICONS = {
    states.SUCCEEDED: "✅",
    states.FAILED: "❌",
    states.TIMED_OUT: "❌",
    states.LOST: "❌",
    states.CANCELLED: "🚫",
    states.SKIPPED: "🚫",
    states.COMPLETED: "✅",
    states.ERROR: "❌",
    states.INTERRUPTED: "❌",
    states.UNREADABLE: "❓",
    states.STALE: "❓",
}
WAIT_ICON = "⏳"


def safe(text: str) -> str:
    """An agent's text for our stdout: as it is for a pipe, harmless for a terminal."""
    return strip_controls(text) if sys.stdout.isatty() else text


def date(epoch_s: float | None) -> str:
    """A local time as claude-parallel-runner.pl prints it.

    Example:
        >>> len(date(0.0))
        24
    """
    if epoch_s is None:
        return "unknown"
    try:
        return time.ctime(epoch_s)
    except (OverflowError, ValueError, OSError):
        return "unknown"


def task_word(task: dict[str, Any]) -> str:
    """What a line says of a task: the word of claude-parallel-runner.pl, then ours."""
    state, outcome = task_state(task)
    if outcome is None:
        return state
    details = [] if outcome == states.SUCCEEDED else [outcome]
    reason = task.get("reason")
    if details and reason and reason not in (outcome, "unknown"):
        details = [f"{outcome}: {reason}"]
    if task.get("n_denials"):
        details = [*(details or [outcome]), f"{task['n_denials']} denied"]
    return f"completed ({', '.join(details)})" if details else "completed"


def task_icon(task: dict[str, Any]) -> str:
    """The icon of a task's line."""
    return ICONS.get(task_state(task)[1] or "", WAIT_ICON)


def session_start(snapshot: Snapshot) -> float | None:
    """When a session was started, in seconds since the epoch."""
    start = snapshot.head.get("start_time")
    return start if isinstance(start, int | float) else None


def program() -> str:
    """What to type to call this command again: ``cpr``, or its path where PATH lacks it."""
    import os
    import shutil

    called = sys.argv[0]
    on_path = shutil.which("cpr")
    if os.path.basename(called) != "cpr" or (on_path and os.path.samefile(on_path, called)):  # noqa: PTH119, PTH121
        return "cpr"
    return called


def list_lines(sessions: list[Snapshot], directory: str) -> list[str]:
    """``cpr list``."""
    if not sessions:
        return [f"No sessions found in {directory}"]
    lines = ["All Sessions:", "=" * 60]
    for session in sessions:
        lines += [*_list_entry(session), ""]
    return [
        *lines,
        "Use --status SESSION_ID to see details",
        "Use --results SESSION_ID to see output",
    ]


def _list_entry(session: Snapshot) -> list[str]:
    name = session.head.get("name")
    title = f"{ICONS.get(session.state, WAIT_ICON)} {session.session_id[:8]} [{session.state}]"
    if session.state == states.UNREADABLE:
        return [title, f"   {session.paths.root}: {session.problem or 'not a session'}"]
    good, done = session.count("successful"), session.count("completed")
    progress = f"   Progress: {done}/{session.count('total')} tasks ({good} successful)"
    duration_s = session_duration_s(session)
    if not session.is_live and duration_s is not None:
        progress += f" - Duration: {int(duration_s)}s"
    extra = [usd(session.head.get("cost_usd"))] if not session.is_legacy else []
    if session.count("n_failed") and not session.is_legacy:
        extra.insert(0, f"{session.count('n_failed')} failed")
    progress += "".join(f" - {word}" for word in extra if word)
    return [
        f"{title} {name}" if name else title,
        f"   Started: {date(session_start(session))}",
        progress,
    ]


def overview_lines(sessions: list[Snapshot]) -> list[str]:
    """``cpr overview``."""
    readable = [s for s in sessions if s.state != states.UNREADABLE]
    total = sum(s.count("total") for s in readable)
    good = sum(s.count("successful") for s in readable)
    lines = ["📊 Session Overview", "=" * 40, f"Total Sessions: {len(sessions)}"]
    lines += [
        f"  ⏳ Running: {sum(s.is_live for s in sessions)}",
        f"  ✅ Completed: {sum(s.state == states.COMPLETED for s in sessions)}",
        f"  ❌ Errors: {sum(s.state == states.ERROR for s in sessions)}",
    ]
    for state in (states.CANCELLED, states.INTERRUPTED, states.STALE, states.UNREADABLE):
        count = sum(s.state == state for s in sessions)
        if count:
            lines.append(f"  {ICONS[state]} {state.capitalize()}: {count}")
    lines += ["", f"Total Tasks: {total}", f"Successful Tasks: {good}"]
    if total:
        lines.append(f"Success Rate: {100 * good / total:.1f}%")
    costs = [c for s in readable if isinstance(c := s.head.get("cost_usd"), int | float)]
    if costs:
        lines.append(f"Cost: {usd(sum(costs))}")
    return [*lines, "", "Use --list to see all sessions"]


def status_lines(session: Snapshot, allow: str = "", done: Collection[str] = ()) -> list[str]:
    """``cpr status``.

    Args:
        session: The session.
        allow: The options that would allow what was denied.
        done: Branches that are merged already, or gone.
    """
    head = session.head
    lines = [
        f"Session: {session.session_id}",
        f"Status: {session.state}",
        f"Started: {date(session_start(session))}",
        f"Tasks: {session.count('completed')}/{session.count('total')}",
    ]
    if not session.is_live and isinstance(head.get("end_time"), int | float):
        lines += [
            f"Completed: {date(head['end_time'])}",
            f"Duration: {int(session_duration_s(session) or 0)}s",
            f"Success: {session.count('successful')}/{session.count('total')}",
        ]
    lines += ["", "Tasks:"]
    for task in session.tasks or []:
        title = f"Task {task.get('task_num')} (ID: {task.get('transaction_id')})"
        lines.append(f"  {task_icon(task)} {title}: {task_word(task)}")
    notes = status_notes(session, allow, done)
    return [*lines, "", *notes] if notes else lines


def status_notes(session: Snapshot, allow: str, done: Collection[str] = ()) -> list[str]:
    """What a person should know of a session besides its tasks; empty for a legacy session."""
    told = notice(session, program())
    label = "Error" if session.state == states.ERROR else "Notice"
    told = f"{label}: {strip_controls(told)}" if told else ""
    if session.is_legacy:
        return [told] if told else []
    head, notes = session.head, []
    if head.get("name"):
        notes.append(f"Name: {head['name']}")
    told_cost = cost(head)
    if told_cost:
        notes.append(f"Cost: {told_cost}, {tokens(head)} tokens")
    if told:
        notes.append(told)
    if session.count("n_denials"):
        notes.append(f"{session.count('n_denials')} tool calls were denied; to allow: {allow}")
    notes.append(f"Folder: {session.paths.root}")
    branches = branch_lines(session, done)
    return [*notes, "", *branches] if branches else notes


def branch_lines(session: Snapshot, done: Collection[str] = ()) -> list[str]:
    """The branches that tasks with a worktree have left, and the commands that merge them.

    Args:
        session: The session.
        done: Branches that are merged already, or gone.
    """
    tasks = [task for task in session.tasks or () if task.get("branch")]
    ready = [
        task
        for task in tasks
        if task_state(task)[1] == states.SUCCEEDED
        and task.get("n_commits")
        and task["branch"] not in done
    ]
    if not tasks or session.is_live:
        return []
    if not ready:
        return ["No branch of these tasks is ready to merge."]
    cpr, short = program(), session.session_id[:8]
    lines = ["Branches ready to merge:"]
    for task in ready:
        n_files = task.get("n_files_changed", 0)
        figures = f"{n_files} file{'s' * (n_files != 1)}, +{task.get('lines_added', 0)}"
        lines.append(f"  {task['branch']}   {figures} -{task.get('lines_deleted', 0)}")
    return [
        *lines,
        "To merge them:",
        f"  {cpr} merge {short} --dry-run",
        f"  {cpr} merge {short}",
        f"  git merge {ready[0]['branch']}",
    ]


def utc_clock(iso: object) -> str:
    """The local time of day of an ISO 8601 time."""
    epoch_s = parse_iso(iso)
    return time.strftime("%H:%M:%S", time.localtime(epoch_s)) if epoch_s is not None else ""


def summary_lines(session: Snapshot, allow: str = "") -> list[str]:
    """How a session ended: the figures, what did not succeed, what to do next."""
    short, cpr = session.session_id[:8], program()
    n_good, total = session.count("n_succeeded"), session.count("total")
    icon = ICONS[states.SUCCEEDED if n_good == total else states.FAILED]
    figures = [
        f"{n_good}/{total} succeeded",
        clock(session_duration_s(session)),
        cost(session.head),
    ]
    lines = ["", f"{icon} {session.state}: {' · '.join(figure for figure in figures if figure)}"]
    if session.head.get("error"):
        lines.append(f"  {strip_controls(str(session.head['error']))}, see {session.paths.log}")
    bad = [t for t in session.tasks or () if task_state(t)[1] not in (None, states.SUCCEEDED)]
    for task in bad[:10]:
        why = f": {task['error']}" if task.get("error") else ""
        lines.append(
            f"  {task_icon(task)} Task {task.get('task_num')} (ID: {task.get('transaction_id')}): "
            f"{task_state(task)[1]}: {task.get('reason', 'unknown')}{strip_controls(why)}"
        )
    if len(bad) > 10:
        lines.append(f"  … and {len(bad) - 10} more")
    lines += ["", f"  {cpr} results {short}    the answers"]
    lines += [f"  {line}" if line else "" for line in branch_lines(session)]
    if session.count("n_denials"):
        lines.append(f"  {session.count('n_denials')} tool calls were denied; to allow: {allow}")
    if session.state == states.INTERRUPTED:
        lines.append(f"  {cpr} resume {short}     goes on with the rest")
    elif bad and not session.is_legacy:
        lines.append(f"  {cpr} retry {short}      runs again what did not succeed")
    return lines
