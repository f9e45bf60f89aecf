"""What the journal says of an attempt that runs, or has run, on a node."""

from __future__ import annotations


class Lease:
    """What an attempt was leased to a node with.

    Args:
        token: What marks its process tree.
        node: The node's name.
        life: The life of its node agent.

    Attributes:
        status: What wait() said of its end; None if it has not ended, or nobody knows.
        is_over: Whether nothing runs there any more.
        interrupted: Whether its end was none of its own.
    """

    __slots__ = ("interrupted", "is_over", "life", "node", "status", "token")

    def __init__(self, token: str, node: str, life: str) -> None:
        self.token, self.node, self.life = token, node, life
        self.status: int | None = None
        self.is_over = self.interrupted = False
