"""``cpr nodes``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.node_adding import add_arguments_of_adding, add_nodes
from cpr_nb.cli.node_list import show_nodes
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.model.errors import InputError

_ADD = "add"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument(
        "more",
        metavar="ENGINE",
        nargs="*",
        default=[],
        help="cpr nodes add SESSION ENGINE adds nodes, such as ssh:host3; ENGINE as for --executor",
    )
    add_arguments_of_adding(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows the nodes of a session, or adds some."""
    is_adding = args.session == _ADD
    if len(args.more) != (2 if is_adding else 0) or ((args.nodes or args.slots) and not is_adding):
        words = "write cpr nodes SESSION, or cpr nodes add SESSION ENGINE, such as ssh:host3"
        raise InputError(words, "nodes")
    if not is_adding:
        return show_nodes(args)
    args.session, args.engine = args.more
    return add_nodes(args)
