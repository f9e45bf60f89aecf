"""How a session ended and what to do next: the end of ``run --wait``, ``watch`` and ``status``."""

from __future__ import annotations

import os
import shlex

from cpr_nb.cli.render import ICONS, denial_lines, program, task_icon
from cpr_nb.model import states
from cpr_nb.model.full_mark import rows_without_success
from cpr_nb.model.record import is_unsaved, task_state
from cpr_nb.model.verdict import is_left_out
from cpr_nb.store.read import Snapshot
from cpr_nb.views.decision_lines import decision_lines
from cpr_nb.views.durations import session_duration_s
from cpr_nb.views.formatting import clock, cost, reused
from cpr_nb.views.grade_lines import grade_lines
from cpr_nb.views.notice import warnings_of
from cpr_nb.views.work_left import stays, task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from cpr_nb.model.denial_summary import DenialSummary

_MAX_PROBLEMS = 10


def summary_lines(session: Snapshot, denials: DenialSummary | None = None) -> list[str]:
    """Returns the figures of a session, what did not succeed, and the commands to run next.

    Args:
        session: The session.
        denials: What helps against what was denied.
    """
    ended = [task for task in session.tasks or () if task_state(task)[1] is not None]
    failed = [task for task in ended if task_state(task)[1] != states.SUCCEEDED]
    failed = [task for task in failed if not is_left_out(task.get("reason"))]
    left = [task for task in ended if task_state(task)[1] == states.SUCCEEDED and _is_left(task)]
    return [
        "",
        _figures_line(session),
        *_error_lines(session),
        *(f"  {line}" for line in decision_lines(session)),
        *(f"  {line}" for line in grade_lines(session, program())),
        *(f"  ⚠ {warning}" for warning in warnings_of(session, program())),
        *_problem_lines([*failed, *left], session),
        "",
        *(
            f"  {line}" if line else ""
            for line in _next_lines(session, denials, bool(failed) and _may_retry(session))
        ),
    ]


def _figures_line(session: Snapshot) -> str:
    n_good, total = session.count("n_succeeded"), session.count("total")
    n_left_out = sum(is_left_out(task.get("reason")) for task in session.tasks or ())
    n_held = sum(task.get("reason") == "pilot" for task in session.tasks or ())
    icon = ICONS[states.SUCCEEDED if n_good + n_left_out == total else states.FAILED]
    figures = [
        f"{n_good}/{total} succeeded",
        f"{n_left_out - n_held} not needed" if n_left_out > n_held else "",
        f"{n_held} outside the pilot" if n_held else "",
        reused(session),
        clock(session_duration_s(session)),
        cost(session.head),
    ]
    return f"{icon} {session.state}: {' · '.join(figure for figure in figures if figure)}"


def _error_lines(session: Snapshot) -> list[str]:
    error = session.head.get("error")
    log = f", see {session.paths.log}" if os.path.exists(session.paths.log) else ""
    return [f"  {error}{log}"] if error else []


def _problem_lines(tasks: list[dict[str, Any]], session: Snapshot) -> list[str]:
    lines = [_problem_line(task, session) for task in tasks[:_MAX_PROBLEMS]]
    n_hidden = len(tasks) - len(lines)
    return [*lines, f"  … and {n_hidden} more"] if n_hidden else lines


def _problem_line(task: dict[str, Any], session: Snapshot) -> str:
    title = f"Task {task.get('task_num')} (ID: {task.get('transaction_id')})"
    error = f": {task['error']}" if task.get("error") else ""
    outcome, reason = task_state(task)[1], task.get("reason", "unknown")
    end = str(outcome) if outcome in (reason, states.SUCCEEDED) else f"{outcome}: {reason}"
    note = task_note(task, session.short_id, program()) if _is_left(task) else ""
    return f"  {task_icon(task)} {title}: {end}{error}{note and '; '}{note}"


def _is_left(task: dict[str, Any]) -> bool:
    """Whether work of the task is not saved, or its worktree stays because of what it holds."""
    return is_unsaved(task) or stays(task)


def _next_lines(session: Snapshot, denials: DenialSummary | None, has_problems: bool) -> list[str]:
    command, short = program(), session.short_id
    lines = ["To read the answers:", f"  {command} results {short}", *branch_lines(session)]
    if session.count("n_denials"):
        lines += denial_lines(session.count("n_denials"), denials)
    if session.state in (states.INTERRUPTED, states.UNREACHABLE):
        lines += ["To resume the session:", f"  {command} resume {short}"]
    elif session.count("n_unsaved") and not session.is_live:
        lines += ["To save the work that is not yet saved:", f"  {command} resume {short}"]
    if session.state == states.INTERRUPTED or session.is_legacy:
        return lines
    if _may_run_skipped(session):
        lines += ["To run the skipped tasks:", f"  {command} resume {short} --skipped"]
    if has_problems:
        lines += ["To rerun the tasks that did not succeed:", f"  {command} retry {short}"]
    return lines


def _may_retry(session: Snapshot) -> bool:
    """Whether a retry has something to do: of the best of N, it is about rows without a success."""
    candidates = session.head.get("candidates")
    n = candidates.get("n") if isinstance(candidates, dict) else None
    if not isinstance(n, int) or n < 1:
        return True
    return bool(rows_without_success([task_state(task)[1] for task in session.tasks or ()], n))


def _may_run_skipped(session: Snapshot) -> bool:
    """Whether tasks were skipped for a reason that may have passed; a spent budget stays spent."""
    skipped = [t for t in session.tasks or () if task_state(t)[1] == states.SKIPPED]
    ended = session.state in states.ENDED_STATES
    return ended and any(task.get("reason") != "budget" for task in skipped)


def branch_lines(session: Snapshot, settled: Collection[str] = (), doubt: str = "") -> list[str]:
    """Returns the branches that tasks with a worktree left, and the commands that merge them.

    Args:
        session: The session.
        settled: Branches that are already merged, or gone.
        doubt: Why they were not looked at; empty if they were.
    """
    tasks = [task for task in session.tasks or () if task.get("branch")]
    if not tasks or session.is_live:
        return []
    ready = [task for task in tasks if _is_ready(task, settled)]
    if not ready:
        return ["No branch of these tasks is ready to merge."]
    listed = [f"  {task['branch']}   {changed_text(task)}" for task in ready]
    if doubt:
        return [f"Branches, not looked at: {doubt}", *listed]
    command, short = program(), session.short_id
    return [
        "Branches ready to merge:",
        *listed,
        "To merge them:",
        f"  {command} merge {short} --dry-run",
        f"  {command} merge {short}",
        "Or one of them by hand:",
        f"  git merge {shlex.quote(str(ready[0]['branch']))}",
    ]


def _is_ready(task: dict[str, Any], settled: Collection[str]) -> bool:
    succeeded = task_state(task)[1] == states.SUCCEEDED
    return bool(succeeded and task.get("n_commits") and task["branch"] not in settled)


def changed_text(task: dict[str, Any]) -> str:
    """Returns how much a task changed.

    Example:
        >>> changed_text({"n_files_changed": 1, "lines_added": 3, "lines_deleted": 0})
        '1 file, +3 -0'
    """
    n_files = task.get("n_files_changed", 0)
    n_added, n_deleted = task.get("lines_added", 0), task.get("lines_deleted", 0)
    return f"{n_files} file{'s' * (n_files != 1)}, +{n_added} -{n_deleted}"
