"""``cpr overview``."""

from __future__ import annotations

import argparse

from cpr_nb.cli import render
from cpr_nb.cli.common import print_lines, results_dir
from cpr_nb.store import catalog


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(args: argparse.Namespace) -> int:
    """Prints figures over all sessions."""
    print_lines(render.overview_lines(catalog.list_sessions(results_dir(args))))
    return 0
