"""``cpr status``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cpr_nb.cli.common import (
    denial_summary,
    open_session,
    print_json,
    print_lines,
    settled_branches,
)
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.cli.render import (
    denial_lines,
    format_date,
    program,
    session_start,
    task_icon,
    task_word,
)
from cpr_nb.cli.session_summary import branch_lines
from cpr_nb.model import states
from cpr_nb.model.denial_summary import DenialSummary
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.read import Snapshot
from cpr_nb.views.decision_lines import decision_lines
from cpr_nb.views.durations import session_duration_s
from cpr_nb.views.formatting import at_once, cost, reused, total_tokens
from cpr_nb.views.grade_lines import grade_lines
from cpr_nb.views.launcher import launcher_text
from cpr_nb.views.nodes import node_of
from cpr_nb.views.notice import notice, warnings_of
from cpr_nb.views.planned_text import input_ids
from cpr_nb.views.served_tasks import served_line
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.cli.live_status import LiveStatus
    from cpr_nb.handles.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows one session, task by task."""
    session = open_session(args)
    if args.json:
        print_status(session)
        return 0
    branches = branch_lines(session.snapshot, *settled_branches(session))
    print_lines(status_lines(session.snapshot, denial_summary(session.tasks), branches))
    return 0


def print_status(session: Session) -> None:
    """Prints a session and its tasks as JSON.

    Args:
        session: The session.
    """
    from cpr_nb.views.rows import session_row, task_row

    row = session_row(session.snapshot, marks=read_marks())
    tasks = [task_row(session.snapshot, task.fields, task.prompt) for task in session.tasks]
    print_json({**row, "tasks": tasks})


def status_lines(
    session: Snapshot, denials: DenialSummary | None = None, branches: Sequence[str] = ()
) -> list[str]:
    """Returns what ``cpr status`` prints.

    Args:
        session: The session.
        denials: What helps against what was denied.
        branches: The lines about the branches of its tasks.
    """
    lines = [*_head_lines(session), "", "Tasks:"]
    live = _live_status(session)
    for index, task in enumerate(session.tasks or []):
        title = f"Task {task.get('task_num')} (ID: {task.get('transaction_id')})"
        node = f" on {name}" if (name := node_of(task)) else ""
        word = task_word(task) + node + (live.task(index) if live else "")
        lines.append(f"  {task_icon(task)} {title}: {word}")
        if note := task_note(task, session.short_id, program()):
            lines.append(f"     {note}")
    notes = _note_lines(session, live, denials, branches)
    return [*lines, "", *notes] if notes else lines


def _live_status(session: Snapshot) -> LiveStatus | None:
    if not session.is_live:
        return None
    from cpr_nb.cli.live_status import LiveStatus  # most sessions have ended and need none of it

    return LiveStatus(session)


def _head_lines(session: Snapshot) -> list[str]:
    count, end = session.count, session.head.get("end_time")
    lines = [
        f"Session: {session.session_id}",
        f"Status: {session.state}",
        f"Started: {format_date(session_start(session))}",
        f"Tasks: {count('completed')}/{count('total')}",
        *([f"After: {', '.join(input_ids(session))}"] if "after" in session.head else []),
        *([f"Rows of other sessions: {reused(session)}"] if count("n_reused") else []),
    ]
    if session.is_live or not isinstance(end, int | float):
        return lines
    return [
        *lines,
        f"Completed: {format_date(end)}",
        f"Duration: {int(session_duration_s(session) or 0)}s",
        f"Success: {count('successful')}/{count('total')}",
    ]


def _note_lines(
    session: Snapshot,
    live: LiveStatus | None,
    denials: DenialSummary | None,
    branches: Sequence[str],
) -> list[str]:
    """What a person should know besides the tasks; of a legacy session, only its notice."""
    label = "Error" if session.state == states.ERROR else "Notice"
    text = notice(session, program())
    notices = [f"{label}: {text}"] if text else []
    if session.is_legacy:
        return notices
    head, lines = session.head, []
    if head.get("name"):
        lines.append(f"Name: {head['name']}")
    if session.state == states.RUNNING:
        lines.append(f"Running: {at_once(session)}")
    if live:
        lines += live.lines()
    elif spent := cost(head):
        lines.append(f"Cost: {spent}, {total_tokens(head)} tokens")
    if launcher := launcher_text(head):
        lines.append(f"Launched by: {launcher}")
    if served := served_line(session.tasks or []):
        lines.append(served)
    if read_marks().is_foreign(head, session.session_id):
        trust = f"{program()} trust {session.short_id}"
        lines.append(f"Foreign: not launched by you on this machine; to use it: {trust}")
    lines += [f"Decision: {line}" for line in decision_lines(session)]
    lines += [f"Grades: {line}" for line in grade_lines(session, program())]
    lines += [*notices, *(f"Warning: {warning}" for warning in warnings_of(session, program()))]
    if n_denials := session.count("n_denials"):
        lines += denial_lines(n_denials, denials)
    lines.append(f"Folder: {session.paths.root}")
    return [*lines, "", *branches] if branches else lines
