"""``cpr clean``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cpr_nb.cli.common import open_session, print_lines, results_dir
from cpr_nb.model.errors import InputError
from cpr_nb.store import catalog

if TYPE_CHECKING:
    from cpr_nb.worktrees.cleaning import CleanReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "session", metavar="SESSION", nargs="?", help="its id or name (default: all sessions)"
    )
    parser.add_argument(
        "--task",
        metavar="TASK",
        action="append",
        help="only this task's, by number or id, ALSO IF IT IS NOT MERGED OR NOT COMMITTED; "
        "may be repeated",
    )
    parser.add_argument(
        "--into", metavar="BRANCH", help="merged into this (default: the main checkout's branch)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be removed")


def run(args: argparse.Namespace) -> int:
    """Removes worktrees and merged branches; what would be lost stays."""
    print_lines(lines(cleaned(args)))
    return 0


def cleaned(args: argparse.Namespace) -> CleanReport:
    """Does it."""
    if args.session is not None:
        return open_session(args).clean(args.task, into=args.into, dry_run=args.dry_run)
    if args.task:
        raise InputError("--task needs a SESSION", "clean")
    return _clean_all(results_dir(args), into=args.into, dry_run=args.dry_run)


def lines(report: CleanReport) -> list[str]:
    """What a person reads of it."""
    done = "would be removed" if report.is_dry_run else "removed"
    told = [f"✅ {one.path or one.branch}: {done}" for one in report.removed]
    told += [f"–  {one.path or one.branch}: stays, {one.why}" for one in report.kept]
    return told or ["Nothing to clean."]


def _clean_all(directory: str, *, into: str | None, dry_run: bool) -> CleanReport:
    from cpr_nb.worktrees.cleaning import clean

    folders = [session.paths.root for session in catalog.list_sessions(directory)]
    return clean(folders, into=into, dry_run=dry_run)
