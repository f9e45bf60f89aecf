"""``cpr clean``."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

from cpr_nb.cli.common import open_session, print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json, complete_session
from cpr_nb.cli.render import program
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model.errors import CprError, InputError
from cpr_nb.store import catalog
from cpr_nb.store.killed_launches import remove_leftovers
from cpr_nb.store.layout import NEW_PREFIX

if TYPE_CHECKING:
    from cpr_nb.worktrees.cleaning import CleanReport


#: What of a report is about worktrees and branches.
_PARTS = ("removed", "kept")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    session = parser.add_argument(
        "session", metavar="SESSION", nargs="?", help="its id or name (default: all sessions)"
    )
    session.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way
    parser.add_argument(
        "--task",
        metavar="TASK",
        action="append",
        help="only this task's, by number or id, EVEN IF ITS WORK IS NOT MERGED OR NOT COMMITTED; "
        "may be repeated",
    )
    parser.add_argument(
        "--into",
        metavar="BRANCH",
        help="remove what is merged into this branch (default: the main checkout's branch)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Removes worktrees and merged branches, but keeps what would be lost."""
    report = clean_sessions(args)
    if args.json:
        parts = {name: [one._asdict() for one in getattr(report, name)] for name in _PARTS}
        print_json({**report._asdict(), **parts})
        return 0
    print_lines(report_lines(report))
    return 0


def clean_sessions(args: argparse.Namespace) -> CleanReport:
    """Cleans the session that the arguments name, or all sessions."""
    if args.session is not None:
        session = open_session(args)
        return with_trust(lambda: session.clean(args.task, into=args.into, dry_run=args.dry_run))
    if args.task:
        raise InputError("--task needs a SESSION", "clean")
    return _clean_all(results_dir(args), into=args.into, dry_run=args.dry_run)


def report_lines(report: CleanReport) -> list[str]:
    """Returns a report for the user, one line per worktree or branch."""
    verb = "would be removed" if report.is_dry_run else "removed"
    lines = [f"✅ {one.path or one.branch}: {verb}" for one in report.removed]
    lines += [f"–  {one.path or one.branch}: kept: {one.why}" for one in report.kept]
    if report.n_foreign:
        plural = "" if report.n_foreign == 1 else "s"
        lines.append(
            f"clean: {report.n_foreign} foreign session{plural} left alone"
            f"   ({program()} clean SESSION asks)"
        )
    return lines or ["Nothing to clean."]


def _clean_all(directory: str, *, into: str | None, dry_run: bool) -> CleanReport:
    from cpr_nb.handles.branches import save_work
    from cpr_nb.handles.session import Session
    from cpr_nb.worktrees.cleaning import Cleaned, clean

    leftovers = [
        Cleaned(path.rpartition(NEW_PREFIX)[2], "", "", path, "")
        for path in remove_leftovers(directory, dry_run=dry_run)
    ]
    sessions = catalog.list_sessions(directory)
    for session in sessions if not dry_run else ():
        if session.count("n_unsaved"):
            with contextlib.suppress(CprError):  # it stays as it is, and the report says why
                save_work(Session(session.paths.root))
    folders = [session.paths.root for session in sessions]
    report = clean(folders, into=into, dry_run=dry_run).without_foreign()
    return report._replace(removed=(*leftovers, *report.removed))
