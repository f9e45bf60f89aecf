"""``cpr merge``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.cli.render import program

if TYPE_CHECKING:
    from cpr_nb.worktrees.merge_report import MergeReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument(
        "--task",
        metavar="TASK",
        action="append",
        help="this task, by number or id; may be repeated (default: all that succeeded)",
    )
    parser.add_argument(
        "--into", metavar="BRANCH", help="the target (default: the main checkout's branch)"
    )
    parser.add_argument(
        "--order",
        choices=("fewest-conflicts", "task"),
        default="fewest-conflicts",
        help="which branch comes first",
    )
    parser.add_argument("--dry-run", action="store_true", help="try everything, move nothing")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Merges branches of tasks; 1 if it stopped at one."""
    session = open_session(args)
    report = session.merge(args.task, into=args.into, order=args.order, dry_run=args.dry_run)
    if args.json:
        print_json(_object(report))
    else:
        print_lines(lines(report))
    return 1 if report.stopped else 0


def _object(report: MergeReport) -> dict[str, Any]:
    told = report._asdict()
    for name in ("merged", "skipped"):
        told[name] = [one._asdict() for one in told[name]]
    told["stopped"] = report.stopped._asdict() if report.stopped else None
    return told


def lines(report: MergeReport) -> list[str]:
    """What a person reads of a merge."""
    would = "would be " if report.is_dry_run else ""
    told = [f"✅ {one.branch}: {would}merged into {report.into}" for one in report.merged]
    told += [f"–  {one.branch}: {one.why}" for one in report.skipped]
    if report.stopped:
        stopped = report.stopped
        told.append(f"❌ {stopped.branch}: {stopped.why}")
        told += [f"     {name}" for name in stopped.files]
        go_on = [f"  {stopped.command}", f"  {program()} merge {stopped.session_id[:8]}"]
        if report.is_dry_run:
            told.append("There it would stop.")
        else:
            told += ["Nothing of it was merged. To resolve it, and go on:", *go_on]
    if report.left:
        told.append(f"Not tried: {', '.join(report.left)}")
    if not report.merged and not report.stopped:
        told.append("Nothing to merge.")
    return told
