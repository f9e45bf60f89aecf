"""``cpr agent``."""

from __future__ import annotations

import argparse
import os
import sys

from cpr_nb.nodes import __file__ as _package_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "join_file",
        metavar="JOIN_FILE",
        help="the join.json in a session's folder; -: read it from stdin",
    )
    parser.add_argument(
        "--slots", type=int, metavar="N", help="run so many tasks at once (default: by cores)"
    )
    parser.add_argument("--name", help="the node's name (default: the machine's)")
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="where the session's runner is, if not where the join file says (a tunnel)",
    )


def run(args: argparse.Namespace) -> int:
    """Serves a session on this machine, until it ends: becomes the node agent's own program."""
    main = os.path.join(os.path.dirname(os.path.abspath(_package_file)), "__main__.py")
    argv = [sys.executable, "-I", "-X", "utf8", main, args.join_file]
    for flag in ("slots", "name", "address"):
        value = getattr(args, flag)
        if value is not None:
            argv.append(f"--{flag}={value}")
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606
