"""``cpr clean``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_lines
from cpr_nb.cli.options import add_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
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
    report = open_session(args).clean(args.task, into=args.into, dry_run=args.dry_run)
    done = "would be removed" if report.is_dry_run else "removed"
    lines = [f"✅ {one.path or one.branch}: {done}" for one in report.removed]
    lines += [f"–  {one.path or one.branch}: stays, {one.why}" for one in report.kept]
    print_lines(lines or ["Nothing to clean."])
    return 0
