"""``cpr cancel``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model import states

if TYPE_CHECKING:
    from collections.abc import Callable

    from cpr_nb.handles.session import Session

_REQUESTED = "cancellation requested"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument("--task", metavar="TASK", help="only this task: its number or id")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until it has ended")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Cancels a session, or one of its tasks, with the whole process tree."""
    session = open_session(args)
    # Nobody can say when a runner that can't be seen carries it out.
    may_wait = not args.no_wait and session.state != states.UNREACHABLE
    if args.task is not None:
        task = session.task(args.task)
        was_live, title = with_trust(task.cancel), f"Task {task.num} (ID: {task.id})"
        may_wait &= was_live
        has_ended = not may_wait or _await_end(session, task.done)
        state = task.outcome or _REQUESTED
    else:
        was_live, title = with_trust(session.cancel), f"Session {session.id}"
        may_wait &= was_live
        has_ended = not may_wait or _await_end(session, lambda: session.refresh().has_ended())
        state = _REQUESTED if was_live and not (may_wait and has_ended) else session.state
    if state == _REQUESTED and session.snapshot.state == states.UNREACHABLE:
        state += ", for a runner that can't be seen from here"
    if args.json:
        task_id = None if args.task is None else session.task(args.task).id
        ids = {"session_id": session.id, "task_id": task_id}
        print_json({**ids, "was_live": was_live, "has_ended": has_ended, "state": state})
        return 0 if has_ended else 1
    print_lines([f"{title}: {state}" if was_live else f"{title} had already ended: {state}"])
    return 0 if has_ended else 1


def _await_end(session: Session, has_ended: Callable[[], bool]) -> bool:
    """Waits for the end, but not for a runner that is stopped.

    Returns:
        Whether it has ended.
    """
    if session.stopped_pid is None:  # otherwise the request has said so
        from cpr_nb.handles.wait_line import hidden

        with hidden():
            session.wait_until(
                lambda: has_ended() or session.stopped_pid is not None, None, "the end"
            )
        if not has_ended():
            session.print_if_stopped()
    return has_ended()
