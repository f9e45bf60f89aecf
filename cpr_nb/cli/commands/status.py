"""``cpr status``."""

from __future__ import annotations

import argparse

from cpr_nb.cli import render
from cpr_nb.cli.common import allow_options, done_branches, open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows one session, task by task."""
    session = open_session(args)
    if args.json:
        from cpr_nb.views.rows import session_row, task_row

        row = session_row(session.snapshot)
        row["tasks"] = [
            task_row(session.snapshot, task.fields, task.prompt) for task in session.tasks
        ]
        print_json(row)
    else:
        print_lines(
            render.status_lines(
                session.snapshot, allow_options(session.tasks), done_branches(session)
            )
        )
    return 0
