"""``cpr cancel``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_lines
from cpr_nb.cli.options import add_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument("--task", metavar="TASK", help="only this task: its number or id")
    parser.add_argument("--no-wait", action="store_true", help="ask, and do not wait for the end")


def run(args: argparse.Namespace) -> int:
    """Ends a session, or one of its tasks, with the whole process tree."""
    session = open_session(args)
    if args.task is not None:
        task = session.task(args.task)
        asked, what = task.cancel(), f"Task {task.num} (ID: {task.id})"
        if asked and not args.no_wait:
            task.exception()
        told = task.outcome or "to be cancelled"
    else:
        asked, what = session.cancel(), f"Session {session.id}"
        if asked and not args.no_wait:
            session.wait()
        told = session.state if not args.no_wait else "to be cancelled"
    print_lines([f"{what}: {told}" if asked else f"{what} had ended already: {told}"])
    return 0
