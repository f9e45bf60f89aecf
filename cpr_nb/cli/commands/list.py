"""``cpr list``."""

from __future__ import annotations

import argparse

from cpr_nb.cli import render
from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.store import catalog


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Lists all sessions, the newest first."""
    directory = results_dir(args)
    sessions = catalog.list_sessions(directory)
    if args.json:
        from cpr_nb.views.rows import session_row

        print_json([session_row(session) for session in sessions])
    else:
        print_lines(render.list_lines(sessions, directory))
    return 0
