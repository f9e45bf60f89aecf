"""What the sub-commands share: opening a session, printing, watching it to its end."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable

from cpr_nb.model.text import visible, visible_line
from cpr_nb.store import catalog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task
    from cpr_nb.model.denial_summary import DenialSummary


def results_dir(args: argparse.Namespace) -> str:
    """Returns the results directory that the arguments or the environment name."""
    return catalog.results_dir(args.results_dir, os.environ)


def open_session(args: argparse.Namespace) -> Session:
    """Opens the session that the arguments name; the newest if they name none.

    Raises:
        SessionNotFound: If no session fits.
        AmbiguousSession: If several sessions fit.
    """
    from cpr_nb.handles.session import Session

    directory = results_dir(args)
    if args.session is None:
        newest = catalog.newest_session(directory)
        if newest is not None:
            return Session(newest.paths.root)
        from cpr_nb.model.errors import SessionNotFound

        raise SessionNotFound(f"there is no session in {directory} yet")
    return Session(catalog.find_session(directory, args.session))


def print_lines(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Prints lines, each fit for a terminal: what would end a line is shown by its code, too."""
    # Most lines are plain, and there may be 100,000.
    shown = [
        line if line.isascii() and line.isprintable() else visible_line(line) for line in lines
    ]
    (out or sys.stdout).write("\n".join([*shown, ""]))


def print_text(text: str, out: TextIO | None = None) -> None:
    """Prints a text of several lines, fit for a terminal."""
    (out or sys.stdout).write(f"{visible(text)}\n")


def print_answer(text: str) -> None:
    """Prints an answer: unchanged where a program reads it, fit for a terminal elsewhere."""
    sys.stdout.write(f"{visible(text) if sys.stdout.isatty() else text}\n")


def print_file(path: str) -> None:
    """Prints a file for another program, byte by byte."""
    import shutil

    from cpr_nb.store.files import open_regular

    sys.stdout.flush()
    with open_regular(path) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)


def print_json(value: Any) -> None:
    """Prints JSON for another program; any text survives it."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def note(text: str, *more: str) -> None:
    """Prints a message for the person on stderr, apart from the output: a line, and more lines."""
    print_lines([f"cpr: {text}", *more], sys.stderr)
    sys.stderr.flush()


def has_terminal() -> bool:
    """Whether a person may see what we print, or answer."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return any(stream is not None and stream.isatty() for stream in streams)


def note_running(short_id: str) -> None:
    """Says after Ctrl-C that only the wait has ended, and how to go on."""
    from cpr_nb.cli.render import program

    cpr = program()
    note(f"the session keeps running. To watch it: {cpr} watch {short_id}")
    note(f"To cancel it: {cpr} cancel {short_id}")


def show_to_end(session: Session, *, quiet: bool = False) -> int:
    """Shows a session until it ends, then its summary.

    Args:
        session: The session.
        quiet: Only wait, and show nothing.

    Returns:
        0 if every task succeeded, 1 if not. 130 after Ctrl-C: the session keeps running.
    """
    if quiet:
        from cpr_nb.handles.wait_line import hidden

        with hidden():
            session.wait()
        _await_notices(session)
        return _exit_code(session)
    from rich.console import Console

    from cpr_nb.cli.view import watch

    try:
        watch(session, Console(highlight=False))
    except KeyboardInterrupt:
        note_running(session.snapshot.short_id)
        return 130
    from cpr_nb.cli.session_summary import summary_lines

    lines = summary_lines(session.snapshot, denial_summary(session.tasks))
    print_lines(lines)
    new = _await_notices(session)
    print_lines([f"  ⚠ {text}" for text in new if not any(text in line for line in lines)])
    return _exit_code(session)


def _await_notices(session: Session) -> list[str]:
    """Waits a few seconds for notices: where we are all that a container runs, it ends with us.

    Returns:
        The warnings of the session, if it sends any.
    """
    if not session.snapshot.head.get("notices"):
        return []
    import contextlib

    from cpr_nb.launching.resume import await_last_moment  # few sessions send any

    with contextlib.suppress(KeyboardInterrupt):  # the session itself has ended
        await_last_moment(session.snapshot)
    return session.refresh().warnings


def _exit_code(session: Session) -> int:
    return 0 if session.snapshot.count("n_succeeded") == len(session) else 1


def settled_branches(session: Session) -> tuple[set[str], str]:
    """Returns which branches of a session's tasks are already merged, or gone.

    Args:
        session: The session.

    Returns:
        The branches, and why they were not looked at; empty if they were.
    """
    branches = {str(b) for task in session.tasks if (b := task.fields.get("branch"))}
    if not branches or session.snapshot.is_live:
        return set(), ""  # saves the call of git
    from cpr_nb.model.errors import WorktreeError
    from cpr_nb.worktrees.listing import branches_left

    try:
        left = branches_left(session.paths.root)
    except (WorktreeError, OSError):
        return set(), ""  # the repository is gone or has moved, so nobody knows
    return set() if left.doubt else branches - left.unmerged, left.doubt


def denial_summary(tasks: Iterable[Task]) -> DenialSummary:
    """Returns what helps against what these tasks were denied."""
    from cpr_nb.model.denial_summary import DenialSummary

    return DenialSummary(
        denial for task in tasks if task.fields.get("n_denials") for denial in task.denials
    )
