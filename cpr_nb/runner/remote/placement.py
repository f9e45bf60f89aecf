"""Which node gets the next task, and how many tasks all of them take. Pure."""

from __future__ import annotations

from cpr_nb.model import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpr_nb.runner.remote.node import Node


def usable_nodes(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that may be given a task.

    A node without a CLI takes none. A node without a login takes none, unless no node has one:
    then the session waits for a login as it does on one machine. A node that lacks the session's
    folder takes none if another has it.

    Args:
        nodes: All nodes.
    """
    live = [n for n in nodes if n.state == states.LIVE and n.slots > 0 and n.claude_path]
    for is_unfit in (lambda node: node.sees("cwd") is False, lambda node: node.is_logged_out):
        live = [node for node in live if not is_unfit(node)] or live
    return live


def best_node(nodes: Iterable[Node]) -> Node | None:
    """The node for the next task: the one with the most free slots; None if there is none.

    Args:
        nodes: All nodes.
    """
    return max(usable_nodes(nodes), key=lambda node: node.slots - len(node.tokens), default=None)


def n_slots(nodes: Iterable[Node]) -> int:
    """How many tasks may be at work at once; 0 if no node can be given one.

    Those of a node that is silent or leaves still are: they count beside the slots of the others.

    Args:
        nodes: All nodes.
    """
    nodes = list(nodes)
    usable = usable_nodes(nodes)
    if not usable:  # what runs on others is no room: it may be a check, or serve several tasks
        return 0
    others = (node for node in nodes if node not in usable and not node.is_gone)
    return sum(node.slots for node in usable) + sum(len(node.tokens) for node in others)
