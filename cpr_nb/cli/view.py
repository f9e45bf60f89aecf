"""The live view of one session in the terminal: `cpr watch` and `cpr run --wait`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.live import Live

from cpr_nb.cli import render
from cpr_nb.cli.question_lines import question_text
from cpr_nb.cli.session_view import SessionView, notices
from cpr_nb.handles.session import Session
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible_line
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.followed_tasks import FollowedTasks
from cpr_nb.views.questions import open_questions

_REFRESH_S = 0.25


def watch(session: Session, console: Console) -> None:
    """Shows a session until it ends: live on a terminal, elsewhere one line per task as it ends.

    Args:
        session: The session.
        console: Where to show it.
    """
    if not console.is_terminal:
        for line in progress_lines(session.paths.root):
            sys.stdout.write(f"{visible_line(line)}\n")
            sys.stdout.flush()
        session.refresh()
        return
    view = SessionView(session.paths.root)
    with Live(view, console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while view.poll().is_live:
            live.refresh()
            time.sleep(_REFRESH_S)
        live.refresh()
    session.refresh()


def progress_lines(root: str) -> Iterator[str]:
    """Yields one line for each task as it ends, each warning, and what holds the tasks up.

    Args:
        root: The session's folder.
    """
    tasks = FollowedTasks(root)
    ended: set[int] = set()
    shown: set[str] = set()
    asked: set[str] = set()
    while True:
        changed, snapshot = tasks.poll(), tasks.snapshot
        lines = notices(snapshot)
        yield from (f"▌ {line}" for line in lines if line not in shown)
        shown = set(lines)
        yield from _new_questions(snapshot, asked)
        for index in changed:
            fields = (snapshot.tasks or [])[index]
            if index not in ended and task_state(fields)[0] == states.ENDED:
                ended.add(index)
                of_all = f"[{len(ended)}/{len(snapshot.tasks or ())}]"
                yield f"{of_all} {_progress_line(index, fields)}"
        if not snapshot.is_live:
            return
        time.sleep(_REFRESH_S)


def _new_questions(snapshot: Snapshot, asked: set[str]) -> Iterator[str]:
    """Yields one line for each question that was not open before, and adds its key."""
    command = f"{render.program()} answer {snapshot.short_id}"
    for question in open_questions(snapshot):
        if question.key not in asked:
            asked.add(question.key)
            yield "; ".join(text.strip() for text in question_text(question, command))


def _progress_line(index: int, fields: dict[str, Any]) -> str:
    _, outcome = task_state(fields)
    is_good = outcome == states.SUCCEEDED
    reason = fields.get("reason", "completed" if is_good else "unknown")
    parts = [str(outcome) if is_good or outcome == reason else f"{outcome}: {reason}"]
    if fields.get("n_denials"):
        parts.append(f"{fields['n_denials']} denied")
    parts += [formatting.clock(task_duration_s(fields)), formatting.usd(fields.get("cost_usd"))]
    summary = ", ".join(part for part in parts if part)
    if fields.get("note"):
        summary += f"; {one_line(str(fields['note']))}"
    return (
        f"{render.task_icon(fields)} "
        f"Task {index + 1} (ID: {fields.get('transaction_id', '')}): {summary}"
    )
