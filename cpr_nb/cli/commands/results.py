"""``cpr results``."""

from __future__ import annotations

import argparse
from typing import Any

from cpr_nb.cli import render
from cpr_nb.cli.common import denial_summary, open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.handles.session import Session
from cpr_nb.handles.task import Task
from cpr_nb.model import states
from cpr_nb.model.text import strip_controls


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument("--task", metavar="TASK", help="only this task: its number or id")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what the agents answered."""
    session = open_session(args)
    tasks = session.tasks if args.task is None else [session.task(args.task)]
    if args.json:
        print_json([task_json(task) for task in tasks])
        return 0
    print_lines([f"Session: {session.id}", "=" * 50, ""])
    for task in tasks:
        print_lines(task_lines(session, task))
    return 0


def task_lines(session: Session, task: Task) -> list[str]:
    """Returns what one task answered, for the user."""
    return [f"Task {task.num} (ID: {task.id}):", "-" * 30, *_body(session, task), ""]


def _body(session: Session, task: Task) -> list[str]:
    text = render.safe(task.text)
    if task.state == states.PENDING:
        return ["[Task pending...]" if session.snapshot.is_live else "[Task never started]"]
    if task.state != states.ENDED:
        note = "[Task still running...]" if session.snapshot.is_live else "[Task interrupted]"
        if task.note:
            note = note.replace("...]", "]").replace("]", f": {render.safe(task.note)}]")
        return [text, note] if text else [note]
    return [text, *_denials(task), *(["", f"[{render.safe(task.note)}]"] if task.note else [])]


def _denials(task: Task) -> list[str]:
    """Names the options that would have allowed what was denied, or why none would."""
    if not task.fields.get("n_denials"):
        return []
    summary = denial_summary([task])
    hint = f"; to allow: {render.allow_options(summary)}" if summary.rules else ""
    notes = [f"[{strip_controls(note)}]" for note in summary.notes()]
    return ["", f"[{task.fields['n_denials']} denied{hint}]", *notes]


def task_json(task: Task) -> dict[str, Any]:
    """Returns what one task answered, for a program."""
    return {
        "task_id": task.id,
        "task_num": task.num,
        "outcome": task.outcome,
        "result": task.text or None,
        "structured": task.structured,
        "error": task.error or None,
        "note": task.note or None,
    }
