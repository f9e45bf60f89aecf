"""``cpr nodes SESSION``: the nodes that have joined a session, one line each."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import open_session, print_json, print_lines
from cpr_nb.cli.render import program
from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.node_line import TROUBLED, busy_words, node_words
from cpr_nb.views.nodes import node_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOCAL = "local"
_SYMBOLS = {
    states.LIVE: "●",
    states.LEAVING: "◔",
    states.LEFT: "–",
    states.LOST: "✕",
}


def show_nodes(args: argparse.Namespace) -> int:
    """Prints the nodes of a session.

    Args:
        args: The arguments; they name the session.
    """
    session = open_session(args)
    if args.json:
        print_json(node_rows(session.snapshot))
    else:
        print_lines(node_lines(session.snapshot))
    return 0


def node_lines(snapshot: Snapshot) -> list[str]:
    """Returns what ``cpr nodes`` prints.

    Args:
        snapshot: The session.
    """
    nodes = node_rows(snapshot)
    if not nodes:
        return [no_nodes(snapshot)]
    width = max(len(node["name"]) for node in nodes)
    is_old = snapshot.state in (states.INTERRUPTED, states.UNREACHABLE)
    return [
        *([f"The session is {snapshot.state}. What its runner last knew:"] if is_old else []),
        *(
            f"{_SYMBOLS.get(node['state'], '⚠')} {node['name']:<{width}}  "
            + ", ".join(_facts(node, snapshot))
            for node in nodes
        ),
    ]


def no_nodes(snapshot: Snapshot) -> str:
    """Returns why a session has no nodes, in one line.

    Args:
        snapshot: The session.
    """
    engine = read_spec(snapshot.paths).get("executor")
    if engine in (None, _LOCAL):
        return f"Session {snapshot.short_id} has no nodes: its tasks run beside its runner."
    if not snapshot.is_live:
        return f"No node has joined session {snapshot.short_id}."
    add = f"{program()} nodes add {snapshot.short_id} ENGINE"
    return f"No node has joined session {snapshot.short_id} yet. To add one: {add}"


def _facts(node: dict[str, Any], snapshot: Snapshot) -> list[str]:
    state, host, version = node["state"], node["host"], node["claude_version"]
    words = node_words(node, snapshot)
    facts = [
        words if state in TROUBLED else state,
        busy_words(node) if state == states.LIVE else "",
        "" if state in TROUBLED else words,
        f"on {one_line(host, 60)}" if host and host != node["name"] else "",
        f"Claude Code {one_line(version, 40)}" if version else "",
        "not logged in" if node["login"] is False and state != states.NO_LOGIN else "",
    ]
    return [fact for fact in facts if fact]
