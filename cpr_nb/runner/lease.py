"""What the journal says of an attempt that runs, or has run, on a node."""

from __future__ import annotations

from cpr_nb.model.json_values import integer, text_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Lease:
    """What an attempt was leased to a node with.

    Args:
        token: What marks its process tree.
        node: The node's name.
        life: The life of its node agent.
        home: What comes home beside its output, as `Carried.record` says; None: nothing.

    Attributes:
        status: What wait() said of its end; None if it has not ended, or nobody knows.
        is_over: Whether nothing runs there any more.
        interrupted: Whether its end was none of its own.
    """

    __slots__ = ("home", "interrupted", "is_over", "life", "node", "status", "token")

    def __init__(
        self, token: str, node: str, life: str, home: dict[str, Any] | None = None
    ) -> None:
        self.token, self.node, self.life, self.home = token, node, life, home
        self.status: int | None = None
        self.is_over = self.interrupted = False


def lease_of(line: dict[str, Any]) -> Lease | None:
    """The lease that a line of the journal names; None if it names none."""
    token, node, life = (text_or_none(line.get(name)) for name in ("token", "node", "life"))
    home = line.get("home") if isinstance(line.get("home"), dict) else None
    return Lease(token, node, life, home) if token and node and life else None


def end_lease(leases: dict[str, Lease], line: dict[str, Any]) -> None:
    """A line of the journal says that nothing runs for a lease any more.

    Args:
        leases: The leases by their tokens.
        line: The line.
    """
    lease = leases.get(text_or_none(line.get("token")) or "")
    if lease is not None:
        lease.is_over, lease.status = True, integer(line.get("status"))
        lease.interrupted = lease.status is None or bool(line.get("cause"))
