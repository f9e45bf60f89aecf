"""``cpr results``."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from cpr_nb.cli import render
from cpr_nb.cli.common import denial_summary, open_session, print_answer, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.handles.session import Session
from cpr_nb.handles.task import Task
from cpr_nb.model import states
from cpr_nb.model.text import visible, visible_line


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
        head, answer, notes = report(session, task)
        print_lines(head)
        if answer is not None:
            print_answer(answer)
        print_lines(notes)
    return 0


class Report(NamedTuple):
    """What one task answered, for the user: the answer between our own lines."""

    head: list[str]
    answer: str | None
    notes: list[str]

    def to_text(self) -> str:
        """Returns it as one text, fit for a terminal."""
        answer = [] if self.answer is None else [visible(self.answer)]
        return "\n".join([*map(visible_line, self.head), *answer, *map(visible_line, self.notes)])


def report(session: Session, task: Task) -> Report:
    """Returns what one task answered, or why it has not."""
    head = [f"Task {task.num} (ID: {task.id}):", "-" * 30]
    if task.state == states.ENDED:
        note = ["", f"[{task.note}]"] if task.note else []
        return Report(head, task.text, [*_denials(task), *note, ""])
    if task.state == states.PENDING:
        word = "[Task pending...]" if session.snapshot.is_live else "[Task never started]"
        return Report(head, None, [word, ""])
    word = "[Task still running...]" if session.snapshot.is_live else "[Task interrupted]"
    if task.note:
        word = f"{word.rstrip('.]')}: {task.note}]"
    return Report(head, task.text or None, [word, ""])


def _denials(task: Task) -> list[str]:
    """Names the options that would have allowed what was denied, or why none would."""
    if not task.fields.get("n_denials"):
        return []
    summary = denial_summary([task])
    hint = f"; to allow: {render.allow_options(summary)}" if summary.rules else ""
    notes = [f"[{note}]" for note in summary.notes()]
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
        "harvest_error": task.fields.get("harvest_error"),
        "kept_because": task.fields.get("kept_because"),
    }
