"""``cpr pause``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.cli.render import program


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Starts no more tasks of a session until it is resumed; running tasks continue."""
    session = open_session(args)
    session.pause()
    if args.json:
        print_json({"session_id": session.id, "is_paused": True})
        return 0
    print_lines(
        [
            f"Session {session.id}: paused; running tasks continue, no more are started",
            "To resume it:",
            f"  {program()} resume {session.snapshot.short_id}",
        ]
    )
    return 0
