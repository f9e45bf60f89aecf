"""``cpr results``."""

from __future__ import annotations

import argparse
from typing import Any

from cpr_nb.cli import render
from cpr_nb.cli.common import allow_options, open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.handles.session import Session
from cpr_nb.handles.task import Task
from cpr_nb.model import states


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
        print_json([row(task) for task in tasks])
        return 0
    print_lines([f"Session: {session.id}", "=" * 50, ""])
    for task in tasks:
        print_lines(lines(session, task))
    return 0


def lines(session: Session, task: Task) -> list[str]:
    """What one task answered, for a person."""
    return [f"Task {task.num} (ID: {task.id}):", "-" * 30, *_body(session, task), ""]


def _body(session: Session, task: Task) -> list[str]:
    text = render.safe(task.text)
    if task.state == states.PENDING:
        gone = not session.snapshot.is_live
        return ["[Task never started]" if gone else "[Task pending...]"]
    if task.state != states.ENDED:
        still = "[Task still running...]" if session.snapshot.is_live else "[Task interrupted]"
        return [text, still] if text else [still]
    return [text, *_denials(task)]


def _denials(task: Task) -> list[str]:
    """Names the rules that would have allowed what was denied."""
    if not task.fields.get("n_denials"):
        return []
    return ["", f"[{task.fields['n_denials']} denied; to allow: {allow_options([task])}]"]


def row(task: Task) -> dict[str, Any]:
    """What one task answered, for a program."""
    return {
        "task_id": task.id,
        "task_num": task.num,
        "outcome": task.outcome,
        "result": task.text or None,
        "structured": task.structured,
        "error": task.error or None,
    }
