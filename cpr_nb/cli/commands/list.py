"""``cpr list``."""

from __future__ import annotations

import gc
import os
import sys

from cpr_nb.cli.session_list import list_texts
from cpr_nb.store import catalog

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import SimpleNamespace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    from cpr_nb.cli.options import add_json

    add_json(parser)


def run(args: argparse.Namespace | SimpleNamespace) -> int:
    """Lists all sessions, the newest first."""
    gc.disable()  # nothing here is garbage, and looking for it takes time
    directory = catalog.results_dir(args.results_dir, os.environ)
    if args.json:
        _print_json(directory)
    else:
        for text in list_texts(directory):
            sys.stdout.write(text)
    return 0


def _print_json(directory: str) -> None:
    from cpr_nb.cli.common import print_json
    from cpr_nb.store.authorship import read_marks
    from cpr_nb.views.rows import session_row

    marks = read_marks()
    print_json([session_row(session, marks=marks) for session in catalog.list_sessions(directory)])
