"""The line of nodes of a session: how busy each is, which are silent, and what happens then."""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.model.text import one_line
from cpr_nb.store.times import parse_iso
from cpr_nb.views.formatting import clock, plural
from cpr_nb.views.nodes import nodes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot

_MAX_WHY_CHARS = 160
#: So many nodes that work have a place of their own in the line of nodes.
_MAX_SHOWN = 6
#: The states of which more is said, in the order of the line: what needs attention ends it.
TROUBLED = (states.LEAVING, states.REFUSED, states.NO_LOGIN, states.SILENT)
_GONE = (states.LEFT, states.LOST)


class NodePiece(NamedTuple):
    """A piece of the line of nodes, which is never broken into two lines.

    Attributes:
        symbol: The sign before its name; empty for a piece that is about several nodes.
        tone: The tone of the symbol; where it is ``warn``, of the name, too.
        name: The node.
        text: What follows.
        silent_at_s: Since when it has been silent, in seconds since the epoch.
        moves_at_s: When its tasks move; both let a browser count by itself.
        ends: What follows the time until then.
    """

    symbol: str
    tone: str
    name: str
    text: str
    silent_at_s: float | None = None
    moves_at_s: float | None = None
    ends: str = ""

    def words(self, now_s: float) -> str:
        """What follows the name, with the times as of now.

        Args:
            now_s: Seconds since the epoch.

        Example:
            >>> NodePiece("⚠", "warn", "c", "its task moves in", 10.0, 70.0, "maybe").words(52.0)
            'silent for 0:42 · its task moves in 0:18 maybe'
        """
        parts = []
        if self.silent_at_s is not None:
            parts.append(f"silent for {clock(max(0.0, now_s - self.silent_at_s))}")
        if self.text:
            left = "" if self.moves_at_s is None else clock(max(0.0, self.moves_at_s - now_s))
            parts.append(" ".join(filter(None, (self.text, left, self.ends))))
        return " · ".join(parts)


def node_pieces(snapshot: Snapshot) -> list[NodePiece]:
    """The line of nodes of a session that works: how busy each is, and which are silent.

    Args:
        snapshot: The session.

    Returns:
        Its pieces; none where one node works as it should, or there are none.
    """
    # Without its runner nobody knows what has become of them.
    nodes = nodes_of(snapshot) if snapshot.state in states.LIVE_STATES else []
    connected = [node for node in nodes if node["state"] in states.CONNECTED_STATES]
    at_work = [node for node in connected if node["state"] == states.LIVE]
    if len(nodes) < 2 and len(at_work) == len(nodes):
        return []
    others = [node for state in TROUBLED for node in nodes if node["state"] == state]
    pieces = [NodePiece("", "mute", "", plural(len(connected), "node"))]
    pieces += [
        NodePiece("●", "ok", node["name"], busy_words(node)) for node in at_work[:_MAX_SHOWN]
    ]
    pieces += _folded(at_work[_MAX_SHOWN:])
    pieces += _gone(nodes)
    return pieces + [_troubled(node, has_others=bool(at_work)) for node in others]


def nodes_text(snapshot: Snapshot, now_s: float) -> str:
    """The line of nodes as plain text; empty where there is nothing to say.

    Args:
        snapshot: The session.
        now_s: Seconds since the epoch.
    """
    words = [
        f"{piece.symbol} {piece.name} {piece.words(now_s)}".strip()
        for piece in node_pieces(snapshot)
    ]
    return "   ".join(words)


def busy_words(node: dict[str, Any]) -> str:
    """How much of a node is busy.

    Example:
        >>> busy_words({"slots": 4, "n_running": 1}), busy_words({})
        ('1 of 4 busy', '')
    """
    n_running, slots = integer(node.get("n_running")), integer(node.get("slots"))
    if n_running is None:
        return ""
    return f"{n_running} busy" if slots is None else f"{n_running} of {slots} busy"


def n_connected_text(snapshot: Snapshot) -> list[str]:
    """How many nodes are connected, and how many of them are silent: one text for each.

    Args:
        snapshot: The session.
    """
    counts = Counter(node["state"] for node in nodes_of(snapshot))
    n_connected = sum(counts[state] for state in states.CONNECTED_STATES)
    n_silent = counts[states.SILENT]
    return [plural(n_connected, "node"), *([f"⚠ {n_silent} silent"] if n_silent else [])]


def node_words(node: dict[str, Any], snapshot: Snapshot) -> str:
    """What a person should know of a node that does not work as it should; else empty.

    Args:
        node: The node.
        snapshot: Its session.
    """
    if node["state"] not in TROUBLED:
        why = node.get("why")
        return one_line(why, _MAX_WHY_CHARS) if isinstance(why, str) else ""
    at_work = [other for other in nodes_of(snapshot) if other["state"] == states.LIVE]
    return _troubled(node, has_others=bool(at_work)).words(time.time())


def _folded(nodes: list[dict[str, Any]]) -> list[NodePiece]:
    """One piece for the nodes that have no place of their own."""
    if not nodes:
        return []
    total = {
        name: sum(integer(node.get(name)) or 0 for node in nodes) for name in ("slots", "n_running")
    }
    return [NodePiece("", "mute", "", f"and {len(nodes)} more, {busy_words(total)}")]


def _gone(nodes: list[dict[str, Any]]) -> list[NodePiece]:
    counts = Counter(node["state"] for node in nodes)
    gone = [f"{counts[state]} {state}" for state in _GONE if counts[state]]
    return [NodePiece("", "mute", "", ", ".join(gone))] if gone else []


def _troubled(node: dict[str, Any], *, has_others: bool) -> NodePiece:
    name, state = node["name"], node["state"]
    if state == states.SILENT:
        return _silent(node, has_others=has_others)
    if state == states.LEAVING:
        words = ", ".join(filter(None, ("leaving", busy_words(node))))
        return NodePiece("◔", "warn", name, words)
    if state == states.NO_LOGIN:
        return NodePiece("⚠", "warn", name, "is not logged in, takes no tasks")
    why = node.get("why")
    because = f": {one_line(why, _MAX_WHY_CHARS)}" if isinstance(why, str) and why else ""
    return NodePiece("⚠", "warn", name, f"refused{because}")


def _silent(node: dict[str, Any], *, has_others: bool) -> NodePiece:
    """How long it has been silent, what happens to its tasks, and when."""
    silent_at_s, moves_at_s = parse_iso(node.get("silent_at")), parse_iso(node.get("moves_at"))
    n_running = integer(node.get("n_running"))
    if moves_at_s is None or not n_running:
        text = "silent" if silent_at_s is None else ""
        return NodePiece("⚠", "warn", node["name"], text, silent_at_s)
    tasks, plural_s = ("its task", "s") if n_running == 1 else (f"its {n_running} tasks", "")
    moves = f"move{plural_s} to other nodes" if has_others else f"wait{plural_s} for another node"
    text, ends = f"{tasks} {moves} in", "unless it answers"
    return NodePiece("⚠", "warn", node["name"], text, silent_at_s, moves_at_s, ends)
