"""``cpr nodes``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.node_list import show_nodes
from cpr_nb.cli.options import add_json, add_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Shows the nodes of a session."""
    return show_nodes(args)
