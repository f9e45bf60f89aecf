"""``cpr nodes``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.node_adding import add_arguments_of_adding, add_nodes
from cpr_nb.cli.options import complete_session
from cpr_nb.model.errors import InputError

_ADD = "add"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    action = parser.add_argument(
        "words",
        metavar="add SESSION ENGINE",
        nargs="*",
        help="the session, and where to add nodes, as for --executor of cpr run",
    )
    action.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way
    add_arguments_of_adding(parser)


def run(args: argparse.Namespace) -> int:
    """Adds nodes to a session."""
    words = list(args.words)
    if words[:1] != [_ADD] or len(words) != 3:
        raise InputError("write cpr nodes add SESSION ENGINE, such as ssh:host3", "nodes")
    _, args.session, args.engine = words
    return add_nodes(args)
