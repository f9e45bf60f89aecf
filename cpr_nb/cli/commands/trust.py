"""``cpr trust``."""

from __future__ import annotations

import argparse
import sys

from cpr_nb.cli.common import print_json, print_lines
from cpr_nb.cli.options import add_json, complete_session
from cpr_nb.model.errors import StateDirError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    action = parser.add_argument(
        "what",
        metavar="SESSION|FOLDER",
        nargs="?",
        help="a foreign session, a results directory for all foreign sessions that are in it now, "
        "or a folder of a repository (default: this repository)",
    )
    action.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way
    parser.add_argument("--yes", action="store_true", help="trust it without a question")
    parser.add_argument("--forget", action="store_true", help="trust it no longer")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows what a session or a repository could run, and asks; returns 1 after a no."""
    from cpr_nb.handles.trust import decide, find_claim
    from cpr_nb.store.state_dir import VARIABLE, can_make_state_dir, state_dir

    if not can_make_state_dir():
        raise StateDirError(
            f"nothing can be remembered: {state_dir()} can't be made ({VARIABLE} names another "
            "directory); retry and resume ask at a terminal, and in Python: cpr.trust(…)"
        )
    claim = find_claim(args.what, args.results_dir)
    out = sys.stderr if args.json else sys.stdout
    is_trusted = decide(
        claim, lambda text: print_lines([text], out), yes=args.yes, forget=args.forget
    )
    if args.json:
        print_json({"name": claim.name, "is_trusted": is_trusted})
    return 0 if is_trusted or args.forget else 1
