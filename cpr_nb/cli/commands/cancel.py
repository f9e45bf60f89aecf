"""``cpr cancel``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_lines
from cpr_nb.cli.options import add_session
from cpr_nb.cli.trusting import with_trust

_REQUESTED = "cancellation requested"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument("--task", metavar="TASK", help="only this task: its number or id")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until it has ended")


def run(args: argparse.Namespace) -> int:
    """Cancels a session, or one of its tasks, with the whole process tree."""
    session = open_session(args)
    if args.task is not None:
        task = session.task(args.task)
        was_live, title = with_trust(task.cancel), f"Task {task.num} (ID: {task.id})"
        if was_live and not args.no_wait:
            task.exception()
        state = task.outcome or _REQUESTED
    else:
        was_live, title = with_trust(session.cancel), f"Session {session.id}"
        if was_live and not args.no_wait:
            session.wait_until(session.has_ended, None, "the session")
        state = _REQUESTED if was_live and args.no_wait else session.state
    print_lines([f"{title}: {state}" if was_live else f"{title} had already ended: {state}"])
    return 0
