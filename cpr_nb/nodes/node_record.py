"""What the hub knows of one life of a node agent: its beats, and the orders that it has not got."""

from __future__ import annotations

import os
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What a node agent says of its machine, and the runner is told.
MACHINE_FIELDS = (
    "name",
    "host",
    "boot_id",
    "slots",
    "claude_path",
    "claude_version",
    "git_version",
    "login",
    "free_memory_bytes",
    "sees",
)
LIVE, SILENT, LOST, LEFT, REFUSED = "live", "silent", "lost", "left", "refused"


class NodeRecord:
    """One life of a node agent.

    Args:
        life: Its name.
        now: Seconds of the boot clock: it counts as heard now.

    Attributes:
        identity: Its connection; empty if it has none.
        beat_at: When its last beat was received.
        state: `LIVE`, `SILENT`, …; empty while it is only awaited.
        machine: What it said of its machine.
        clock_offset_s: How far its wall clock is ahead of ours.
    """

    __slots__ = (
        "_n_orders",
        "_orders",
        "beat_at",
        "clock_offset_s",
        "identity",
        "is_leaving",
        "life",
        "machine",
        "state",
    )

    def __init__(self, life: str, now: float) -> None:
        self.life = life
        self.identity = b""
        self.beat_at = now
        self.state = ""
        self.is_leaving = False
        self.machine: dict[str, Any] = {}
        self.clock_offset_s: float | None = None
        self._orders: deque[dict[str, Any]] = deque()
        self._n_orders = 0

    @property
    def is_here(self) -> bool:
        """Whether it may still be given something."""
        return self.state in (LIVE, SILENT)

    def number(self, order: dict[str, Any]) -> dict[str, Any]:
        """Numbers an order and keeps it until the node agent has carried it out."""
        self._n_orders += 1
        numbered = {**order, "order": self._n_orders}
        self._orders.append(numbered)
        return numbered

    def carried_out(self, last: int) -> None:
        """The node agent has carried out all orders up to this one."""
        while self._orders and self._orders[0]["order"] <= last:
            _remove_parcel(self._orders.popleft())

    def drop_orders(self) -> None:
        """Nobody will carry out the orders that are open."""
        while self._orders:
            _remove_parcel(self._orders.popleft())

    def open_orders(self) -> list[dict[str, Any]]:
        """The orders that it may not have got."""
        return list(self._orders)

    def report(self, now: float, why: str) -> dict[str, Any]:
        """What the runner is told of it."""
        return {
            "life": self.life,
            **{name: self.machine.get(name) for name in MACHINE_FIELDS},
            "state": "leaving" if self.is_leaving and self.is_here else self.state,
            "silent_s": now - self.beat_at if self.state == SILENT else 0.0,
            "clock_offset_s": self.clock_offset_s,
            "why": why,
        }


def _remove_parcel(order: dict[str, Any]) -> None:
    """Removes what was to go with an order."""
    if order.get("parcel"):
        try:
            os.unlink(order["parcel"])
        except OSError:
            pass
