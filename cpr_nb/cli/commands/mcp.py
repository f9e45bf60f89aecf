"""``cpr mcp``: an MCP server, by which Claude hands work to cpr."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from cpr_nb.cli.common import note, print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options
from cpr_nb.model.options import PERMISSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.cli.mcp_launcher import Launcher

TOOLS = ("launch", "status", "wait", "results", "cancel")
_EXAMPLES = """\
examples:
  claude mcp add cpr -- cpr mcp --budget-usd 20        your own Claude starts sessions
  cpr run tasks.json --allow mcp__cpr --mcp-servers \\
    '{"cpr": {"command": "cpr", "args": ["mcp", "--max-depth", "2", "--budget-usd", "5"]}}'
                                                       agents of a session do, too
  cpr mcp --dry-run                                    show the limits, serve nothing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--budget-usd",
        metavar="USD",
        type=float,
        help="what all sessions of one conversation, or of all agents of one session, may cost "
        "together, by the CLI's estimate (agents need it)",
    )
    parser.add_argument(
        "--max-depth",
        metavar="N",
        type=int,
        default=1,
        help="1: only your own Claude starts sessions (default); 2: the agents of sessions do, too",
    )
    parser.add_argument(
        "--permissions",
        choices=PERMISSIONS,
        help="the most that a session may be permitted (default: edits; for an agent, what it is "
        "permitted itself)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the limits, serve nothing")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Serves on stdin and stdout until the client closes them."""
    from cpr_nb.cli.mcp_launcher import Limits, read_environment

    if args.budget_usd is not None:
        check_options({"budget_usd": args.budget_usd}, "cpr mcp")
    if args.max_depth < 1:
        raise InputError(f"must be 1 or more, not {args.max_depth}", "--max-depth")
    limits = Limits(args.budget_usd, args.max_depth, args.permissions)
    launcher = read_environment(results_dir(args), limits)
    if args.dry_run:
        _show(launcher, as_json=args.json)
        return 0
    _require_package()
    if sys.stdin is not None and sys.stdin.isatty():
        note("this serves an MCP client on stdin; for Claude Code: claude mcp add cpr -- cpr mcp")
    from cpr_nb.cli.mcp_server import serve
    from cpr_nb.cli.mcp_tools import SessionTools

    serve(SessionTools(launcher, os.getcwd()))
    return 0


def _require_package() -> None:
    """Refuses to serve without the package that does it."""
    try:
        is_there = importlib.util.find_spec("mcp.server.mcpserver") is not None
    except ImportError:  # no package of that name, or version 1
        is_there = False
    if not is_there:
        raise InputError("needs the package mcp from version 2 on: pip install 'cpr_nb[mcp]'")


def _show(launcher: Launcher, *, as_json: bool) -> None:
    left_usd = launcher.left_usd()
    if as_json:
        print_json(
            {
                "results_dir": launcher.results_dir,
                "tools": list(TOOLS),
                "depth": launcher.depth,
                "max_depth": launcher.limits.max_depth,
                "budget_usd": launcher.limits.budget_usd,
                "left_usd": left_usd,
                "most_permissions": launcher.most_permissions,
                "problem": launcher.problem or None,
            }
        )
        return
    limits, budget = launcher.limits, "none"
    if limits.budget_usd is not None:
        budget = f"USD {limits.budget_usd:g}, of which USD {left_usd:g} are left"
    may = f"no: {launcher.problem}" if launcher.problem else "yes"
    print_lines(
        [
            f"Results directory: {launcher.results_dir}",
            f"Tools: {', '.join(TOOLS)}",
            f"May start sessions: {may}",
            f"Depth: {launcher.depth}, sessions are started above depth {limits.max_depth}",
            f"Budget: {budget}",
            f"Permissions: {launcher.most_permissions} at most",
        ]
    )
