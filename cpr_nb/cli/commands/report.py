"""``cpr report``."""

from __future__ import annotations

import argparse
import os

from cpr_nb.cli.common import open_session, print_answer, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.model.errors import InputError

_STDOUT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument(
        "-o",
        dest="file",
        metavar="FILE",
        help="where to write it (default: report-ID.html in this folder); - for standard output",
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="leave out prompts, answers, changes, commands and paths",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the report of a session into a file."""
    if args.json and args.file == _STDOUT:
        raise InputError("both write to standard output: name a file", "-o and --json")
    session = open_session(args)
    report = session.report(redact=args.redact)
    if args.file == _STDOUT:
        print_answer(report.html)
        return 0
    name = args.file or f"report-{session.snapshot.session_id[:8]}.html"
    path = report.save(name)
    if args.json:
        size_bytes = os.path.getsize(path)
        print_json({"session_id": session.id, "path": str(path), "size_bytes": size_bytes})
        return 0
    print_lines([f"Report: {path} ({os.path.getsize(path) // 1000} kB)"])
    return 0
