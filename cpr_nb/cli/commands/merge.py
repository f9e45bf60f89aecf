"""``cpr merge``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_branches, add_json, add_session
from cpr_nb.cli.render import program
from cpr_nb.cli.trusting import with_trust

if TYPE_CHECKING:
    from cpr_nb.worktrees.merge_report import MergeReport, Pushed, Stopped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    add_branches(parser)
    parser.add_argument(
        "--into",
        metavar="BRANCH",
        help="the branch to merge into (default: the main checkout's branch)",
    )
    parser.add_argument(
        "--order",
        choices=("fewest-conflicts", "task"),
        default="fewest-conflicts",
        help="which branch to merge first (default: fewest-conflicts)",
    )
    parser.add_argument("--dry-run", action="store_true", help="try every merge and change nothing")
    parser.add_argument(
        "--with-nested",
        action="store_true",
        help="also merge branches that add a repository which .gitmodules does not name: only the "
        "id of its commit arrives, and an empty folder",
    )
    parser.add_argument(
        "--push",
        action="store_true",
        help="then push the branch that was merged into, unless merging stopped; never by force",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Merges branches of tasks; returns 1 if one could not be merged, or was refused."""
    report = merge_session(args)
    if args.json:
        print_json(_report_json(report))
    else:
        print_lines(report_lines(report))
    is_pushed = report.pushed is None or not report.pushed.why
    is_complete = not report.stopped and not any(one.is_refused for one in report.skipped)
    return 0 if is_complete and is_pushed else 1


def merge_session(args: argparse.Namespace) -> MergeReport:
    """Merges the branches of the session that the arguments name."""
    session = open_session(args)
    return with_trust(
        lambda: session.merge(
            args.task,
            into=args.into,
            order=args.order,
            dry_run=args.dry_run,
            with_nested=args.with_nested,
            push=args.push,
        )
    )


def _report_json(report: MergeReport) -> dict[str, Any]:
    fields = report._asdict()
    for name in ("merged", "skipped"):
        fields[name] = [one._asdict() for one in fields[name]]
    fields["stopped"] = report.stopped._asdict() if report.stopped else None
    if report.pushed:
        fields["pushed"] = {**report.pushed._asdict(), "to": report.pushed.to._asdict()}
    return fields


def report_lines(report: MergeReport) -> list[str]:
    """Returns a report for the user, one line per branch."""
    would = "would be " if report.is_dry_run else ""
    lines = [f"✅ {one.branch}: {would}merged into {report.into}" for one in report.merged]
    signs = {False: "– ", True: "⚠️"}
    lines += [f"{signs[one.is_refused]} {one.branch}: {one.why}" for one in report.skipped]
    if report.stopped:
        lines += _stop_lines(report.stopped, is_dry_run=report.is_dry_run)
    if report.left:
        lines.append(f"Not tried: {', '.join(report.left)}")
    if not (report.merged or report.stopped or any(one.is_refused for one in report.skipped)):
        lines.append("Nothing to merge.")
    if report.pushed:
        lines.append(push_line(report.into, report.pushed))
    return lines


def push_line(branch: str, pushed: Pushed) -> str:
    """Returns what became of the push of a branch."""
    place = f"{pushed.to.remote} ({pushed.to.url}), branch {pushed.to.branch}"
    if pushed.why:
        return f"❌ {branch} was not pushed to {place}: {pushed.why}"
    if pushed.is_new is None:
        return f"{branch} would be pushed to {place}"
    if not pushed.is_new:
        return f"{branch} is at {place} already"
    return f"✅ {branch}: pushed to {place}"


def _stop_lines(stopped: Stopped, *, is_dry_run: bool) -> list[str]:
    lines = [f"❌ {stopped.branch}: {stopped.why}", *(f"     {name}" for name in stopped.files)]
    if is_dry_run:
        return [*lines, "The merge would stop there."]
    return [
        *lines,
        "Nothing of this branch was merged. To merge it by hand, and then the rest:",
        f"  {stopped.command}",
        f"  {program()} merge {stopped.session_id[:8]}",
    ]
