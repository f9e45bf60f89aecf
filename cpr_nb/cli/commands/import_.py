"""``cpr import``."""

from __future__ import annotations

import argparse
import os

from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.store.layout import SESSION_PREFIX


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="a log of Inspect (.eval, .json), a trajectory of ATIF (.json), or a folder of them: "
        "they become sessions. Or a folder with transcripts of Claude Code (.jsonl): what is new "
        "is read, and totals are shown. Without PATH, that is your own Claude Code's folder",
    )
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="show only transcripts since a moment (2026-11-20), or so long ago (2d, 90min)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Imports the logs of other tools as sessions, or reads transcripts of Claude Code."""
    if args.path is None or _has_transcripts(args.path):
        from cpr_nb.cli.transcript_list import show_transcripts

        show_transcripts(args.path, args.since, as_json=args.json)
        return 0
    if args.since is not None:
        from cpr_nb.model.errors import InputError

        raise InputError("only transcripts of Claude Code can be shown since a moment", "--since")
    from cpr_nb.exchange.imports import import_path

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


def _has_transcripts(path: str) -> bool:
    """Whether it is a folder with a transcript, at any depth."""
    if not os.path.isdir(path):
        return False
    from cpr_nb.frames.transcripts.transcript_files import list_transcripts

    return bool(list_transcripts(os.path.realpath(path)))
