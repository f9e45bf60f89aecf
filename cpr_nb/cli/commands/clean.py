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
    if args.session is not None:
        report = open_session(args).clean(args.task, into=args.into, dry_run=args.dry_run)
    elif args.task:
        raise InputError("--task needs a SESSION", "clean")
    else:
        report = _clean_all(results_dir(args), into=args.into, dry_run=args.dry_run)
    done = "would be removed" if report.is_dry_run else "removed"
    lines = [f"✅ {one.path or one.branch}: {done}" for one in report.removed]
    lines += [f"–  {one.path or one.branch}: stays, {one.why}" for one in report.kept]
    print_lines(lines or ["Nothing to clean."])
    return 0


def _clean_all(directory: str, *, into: str | None, dry_run: bool) -> CleanReport:
    from cpr_nb.worktrees.cleaning import clean

    folders = [session.paths.root for session in catalog.list_sessions(directory)]
    return clean(folders, into=into, dry_run=dry_run)
