"""``cpr resume``."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from cpr_nb.cli.common import open_session, print_json, print_lines, results_dir, show_to_end
from cpr_nb.cli.options import add_json, add_session, read_env
from cpr_nb.cli.render import program
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model import states
from cpr_nb.model.errors import CprError, ForeignSession, InputError
from cpr_nb.model.record import any_unsaved, is_unsaved
from cpr_nb.store import catalog
from cpr_nb.views.planned_text import waits_for
from cpr_nb.views.work_left import task_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.handles.session import Session


_MOST_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser, optional=True)
    parser.add_argument(
        "--all",
        action="store_true",
        help="resume every session that was interrupted, or whose planned start was missed",
    )
    parser.add_argument(
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="the value of a variable that was set at the launch, since values are not stored",
    )
    parser.add_argument(
        "--skipped",
        action="store_true",
        help="run the tasks that the session skipped before it ended, such as those for which no "
        "login came",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="resume an unreachable session at once: if its runner lives after all, on another "
        "machine, tasks run twice until it sees that",
    )
    parser.add_argument("--wait", action="store_true", help="show it live until it ends")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Resumes a session, or every session that was interrupted."""
    env = read_env(args.env, "--env")
    if not args.all:
        session = open_session(args)
        before = session.state
        with_trust(lambda: session.resume(env, skipped=args.skipped, force=args.force))
        if before in states.ENDED_STATES and not args.skipped:
            return _print_saved(session.wait(), before, args)
        if not args.json:
            print_lines(resumed_lines(session, before))
        code = show_to_end(session, quiet=args.json) if args.wait else 0
        if args.json:
            print_json(resumed_json(session, before))
        return code
    if args.session is not None or args.wait or args.skipped or args.force:
        words = "--all takes no SESSION, no --wait, no --skipped and no --force"
        raise InputError(words, "resume")
    return _resume_all(results_dir(args), env, args)


def _print_saved(session: Session, before: str, args: argparse.Namespace) -> int:
    """Prints what became of work that could not be saved before; 1 if some still is not."""
    is_unsaved = any_unsaved(session.snapshot.tasks)
    if args.json:
        print_json({**resumed_json(session, before), "is_saved": not is_unsaved})
    else:
        print_lines(saved_lines(session))
    return 1 if is_unsaved else 0


def _resume_all(directory: str, env: dict[str, str], args: argparse.Namespace) -> int:
    from cpr_nb.handles.session import Session

    code, n_interrupted, foreign = 0, 0, list[str]()
    rows: list[dict[str, Any]] = []
    show = (lambda lines: None) if args.json else print_lines
    for snapshot in catalog.list_sessions(directory):
        is_late = snapshot.state == states.PLANNED and not waits_for(snapshot)
        if is_late or snapshot.state in (states.INTERRUPTED, states.UNREACHABLE):
            n_interrupted += 1
            session = Session(snapshot.paths.root)
            try:
                session.resume(env)
                rows.append(resumed_json(session, snapshot.state))
                show(resumed_lines(session, snapshot.state))
            except ForeignSession:
                foreign.append(session.snapshot.short_id)
                rows.append({"session_id": session.id, "error": "it is foreign"})
            except CprError as error:  # the others can still be resumed
                show([f"Session {session.id}: {error}"])
                rows.append({"session_id": session.id, "error": str(error)})
                code = 1
    if args.json:
        print_json(rows)
    if not n_interrupted:
        show([f"No session was interrupted in {directory}"])
    if foreign:
        show([foreign_line("resume --all", foreign, directory)])
    return code


def resumed_json(session: Session, before: str) -> dict[str, Any]:
    """Returns what a program reads about a session that was resumed.

    Args:
        session: The session.
        before: Its state before.
    """
    snapshot = session.refresh().snapshot
    n_left = snapshot.count("total") - snapshot.count("completed")
    ids = {"session_id": session.id, "state": snapshot.state}
    return {**ids, "state_before": before, "n_left": n_left}


def foreign_line(command: str, foreign: Sequence[str], directory: str) -> str:
    """Returns that a command has left foreign sessions alone, and what to do about it.

    Args:
        command: What it is called.
        foreign: The first characters of their ids.
        directory: Their results directory.
    """
    named = f": {', '.join(foreign)}" if len(foreign) <= _MOST_NAMED else ""
    what = foreign[0] if len(foreign) == 1 else shlex.quote(directory)
    count = f"{len(foreign)} foreign session{'' if len(foreign) == 1 else 's'}"
    return f"{command}: {count} left alone{named}   ({program()} trust {what})"


def saved_lines(session: Session) -> list[str]:
    """Returns what became of work that could not be saved when its task ended.

    Args:
        session: It has been resumed for that, and has ended again.
    """
    tasks = session.snapshot.tasks or ()
    unsaved = [task for task in tasks if is_unsaved(task)]
    if not unsaved:
        return [f"Session {session.id}: the work of its tasks is saved"]
    return [f"Session {session.id}: not everything could be saved"] + [
        f"  Task {task.get('task_num')} (ID: {task.get('transaction_id')}): "
        f"{task_note(task, session.snapshot.short_id, program())}"
        for task in unsaved
    ]


def resumed_lines(session: Session, before: str) -> list[str]:
    """Returns what a person reads about a session that was resumed.

    Args:
        session: The session.
        before: Its state before.
    """
    snapshot = session.snapshot
    n_left = snapshot.count("total") - snapshot.count("completed")
    verb = "continues" if before in (states.PAUSED, states.WAITING) else "resumed"
    tasks = "task" if len(session) == 1 else "tasks"
    return [
        f"Session {session.id}: {verb}, {n_left} of {len(session)} {tasks} left",
        "To watch it:",
        f"  {program()} watch {session.snapshot.short_id}",
    ]
