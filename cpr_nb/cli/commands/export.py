"""``cpr export``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.exchange.exports import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument(
        "--to",
        required=True,
        choices=list(FORMATS),
        help="; ".join(f"{name}: {chosen.words}" for name, chosen in FORMATS.items()),
    )
    parser.add_argument(
        "-o",
        dest="path",
        metavar="PATH",
        help="where to write it (default: named after the session, in this folder)",
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="leave out prompts, answers, messages, commands and folders",
    )
    parser.add_argument(
        "--with-content",
        action="store_true",
        help="otel: with the prompts, messages and results of tools",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Writes a session in the format of another tool."""
    session = open_session(args)
    path = session.export(args.to, args.path, redact=args.redact, with_content=args.with_content)
    if args.json:
        print_json({"session_id": session.id, "to": args.to, "path": str(path)})
    else:
        print_lines([f"Written: {path}"])
    return 0
