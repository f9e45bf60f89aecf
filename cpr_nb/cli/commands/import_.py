"""``cpr import``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.exchange.imports import import_path
from cpr_nb.store.layout import SESSION_PREFIX


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a log of Inspect (.eval, .json), a trajectory of ATIF (.json), or a folder of them",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Imports the logs of other tools as sessions."""
    sessions = [
        (root.rpartition(f"/{SESSION_PREFIX}")[2], is_new)
        for root, is_new in import_path(args.path, results_dir(args))
    ]
    if args.json:
        print_json([{"session_id": name, "is_new": is_new} for name, is_new in sessions])
        return 0
    for session_id, is_new in sessions:
        words = "Imported" if is_new else "Imported before"
        print_lines([f"{words}: {session_id}", f"  cpr status {session_id[:8]}"])
    return 0
