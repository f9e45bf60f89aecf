"""The times of a lease: both sides compute them from its length alone, by the clock since boot."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: A clock that goes on while the machine sleeps, and that nobody sets.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock_s() -> float:
    """Seconds of this machine's own clock: only differences mean something."""
    return time.clock_gettime(_CLOCK)


class LeaseTimes:
    """What follows from the length of a lease.

    Args:
        lease_s: For how long a node agent may work without an echo of its beat.

    Attributes:
        beat_s: How often a node agent sends a beat.
        silent_s: After this long without a beat, a node counts as silent.
        term_s: How long what runs may take to end by itself once the lease is over.
        grace_s: How much longer the hub waits: for those ends, and since clocks drift.

    Example:
        >>> times = LeaseTimes(120)
        >>> times.beat_s, times.silent_s, times.term_s, times.grace_s
        (5.0, 15.0, 5.0, 15.0)
        >>> LeaseTimes(2).grace_s
        1.0
    """

    __slots__ = ("beat_s", "grace_s", "lease_s", "silent_s", "term_s")

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self.beat_s = min(5.0, max(0.2, lease_s / 10))
        self.silent_s = 3 * self.beat_s
        self.term_s = min(5.0, lease_s / 10)
        self.grace_s = min(15.0, max(1.0, lease_s / 4))

    @property
    def over_s(self) -> float:
        """After this long without a beat, nothing of a node can run any more."""
        return self.lease_s + self.grace_s
