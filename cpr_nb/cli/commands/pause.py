"""``cpr pause``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_lines
from cpr_nb.cli.options import add_session
from cpr_nb.cli.render import program


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)


def run(args: argparse.Namespace) -> int:
    """Starts no more tasks of a session until it is resumed; running tasks continue."""
    session = open_session(args)
    session.pause()
    print_lines(
        [
            f"Session {session.id}: paused; running tasks continue, no more are started",
            "To resume it:",
            f"  {program()} resume {session.snapshot.short_id}",
        ]
    )
    return 0
