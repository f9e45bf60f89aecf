"""``cpr watch``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.commands.status import print_status
from cpr_nb.cli.common import open_session, show_to_end
from cpr_nb.cli.options import add_json, add_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser, optional=True)
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 1 if a task did not succeed"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows a session live until it ends; after Ctrl-C it keeps running."""
    session = open_session(args)
    code = show_to_end(session, quiet=args.json)
    if args.json:
        print_status(session)
    return code if args.exit_code or code > 1 else 0
