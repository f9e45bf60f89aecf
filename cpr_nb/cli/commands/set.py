"""``cpr set``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.options import add_json, add_session
from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options, parse_text
from cpr_nb.model.options import OPTIONS

#: What can be changed while a session runs.
CHANGEABLE = ("max_parallel",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument("setting", metavar="NAME=VALUE", help="max-parallel=N (0: no limit)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Changes a setting of a running session."""
    name, equals, text = args.setting.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals or name not in CHANGEABLE:
        valid = ", ".join(f"{setting.replace('_', '-')}=N" for setting in CHANGEABLE)
        raise InputError(f"{args.setting!r} can't be changed, only {valid}", "set")
    value = check_options({name: parse_text(OPTIONS[name], text, name)})[name]
    session = open_session(args)
    setattr(session, name, value)
    if args.json:
        print_json({"session_id": session.id, name: value})
        return 0
    print_lines([f"Session {session.id}: {name.replace('_', '-')}={value}"])
    return 0
