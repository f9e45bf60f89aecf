"""The nodes of a session, as its runner wrote them into status.json."""

from __future__ import annotations

from operator import itemgetter

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, text_or_none
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot

_MAX_NAME_CHARS = 40
_TEXTS = (
    *("host", "why", "claude_version", "claude_path", "git_version"),
    *("joined_at", "silent_at", "moves_at"),
)
_COUNTS = ("n_running", "slots", "free_memory_bytes")


def nodes_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The nodes of a session, in the order of their names; what has no known state is left out.

    Args:
        snapshot: The session.

    Example:
        >>> from cpr_nb.store.read import Snapshot
        >>> from cpr_nb.store.layout import SessionPaths
        >>> head = {"nodes": [{"name": "node-a", "state": "live"}, {"name": 7}, "x"]}
        >>> nodes_of(Snapshot(SessionPaths("/r/session-1"), head, [], "running"))
        [{'name': 'node-a', 'state': 'live'}]
    """
    found = snapshot.head.get("nodes")
    entries = (
        [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    )
    known = [
        {**entry, "name": one_line(name, _MAX_NAME_CHARS)}
        for entry in entries
        if isinstance(name := entry.get("name"), str) and entry.get("state") in states.NODE_STATES
    ]
    return sorted(known, key=itemgetter("name"))


def node_of(task: dict[str, Any]) -> str:
    """The node of a task's newest attempt; empty if it ran where its runner does.

    Args:
        task: Its fields in status.json.
    """
    name = task.get("node")
    return one_line(name, _MAX_NAME_CHARS) if isinstance(name, str) else ""


def silent_nodes(snapshot: Snapshot) -> frozenset[str]:
    """The names of the nodes that are silent now: nobody knows what their tasks do.

    Args:
        snapshot: The session.
    """
    silent = (node["name"] for node in nodes_of(snapshot) if node["state"] == states.SILENT)
    return frozenset(silent) if snapshot.state in states.LIVE_STATES else frozenset()


def node_rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The nodes of a session as flat rows, in the order of their names; what is unknown is None.

    Args:
        snapshot: The session.
    """
    rows = []
    for node in nodes_of(snapshot):
        offset_s, login = node.get("clock_offset_s"), node.get("login")
        rows.append(
            {
                **{field: node[field] for field in ("name", "state")},
                **{field: text_or_none(node.get(field)) for field in _TEXTS},
                **{field: integer(node.get(field)) for field in _COUNTS},
                "login": login if isinstance(login, bool) else None,
                "clock_offset_s": offset_s if isinstance(offset_s, int | float) else None,
            }
        )
    return rows


def why_no_node(snapshot: Snapshot) -> str:
    """Why no node takes tasks now, as a sentence begins.

    Args:
        snapshot: The session.
    """
    nodes = nodes_of(snapshot)
    if any(node["state"] == states.LIVE and not node.get("claude_path") for node in nodes):
        return "no connected node has the Claude Code CLI"
    found = {node["state"] for node in nodes}.intersection(states.CONNECTED_STATES)
    if states.SILENT in found:
        return "no node answers"
    if states.NO_LOGIN in found:
        return "no node is logged in"
    return "all nodes are leaving" if states.LEAVING in found else "no node is connected"


def n_without_node(snapshot: Snapshot) -> int:
    """How many tasks of a session wait for a node: all that run nowhere, and have not ended.

    Args:
        snapshot: The session.
    """
    running = [integer(node.get("n_running")) or 0 for node in nodes_of(snapshot)]
    return max(0, snapshot.count("total") - snapshot.count("completed") - sum(running))
