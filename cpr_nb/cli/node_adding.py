"""``cpr nodes add``: further nodes for a session that runs."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_lines
from cpr_nb.cli.render import program
from cpr_nb.model.option_values import parse_text
from cpr_nb.model.options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = ("nodes", "slots")


def add_arguments_of_adding(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that only ``cpr nodes add`` has."""
    for name in _NUMBERS:
        option = OPTIONS[name]
        parser.add_argument(option.flag, metavar=option.metavar, help=option.help)


def add_nodes(args: argparse.Namespace) -> int:
    """Adds nodes to a session, with the engine that the arguments name.

    Raises:
        InputError: If a number is none.
    """
    numbers: dict[str, Any] = {name: _number(name, getattr(args, name)) for name in _NUMBERS}
    session = open_session(args)
    session.add_nodes(args.engine, **numbers)
    short = session.snapshot.short_id
    print_lines(
        [
            f"Session {session.id}: node agents are placed; tasks go to those that join",
            "To see them:",
            f"  {program()} nodes {short}",
        ]
    )
    return 0


def _number(name: str, text: str | None) -> float | None:
    option = OPTIONS[name]
    return None if text is None else parse_text(option, text, option.flag)
