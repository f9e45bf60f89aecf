"""Time for limits: it stands still while the machine sleeps, and never jumps."""

from __future__ import annotations

import time

#: The loop turns at least five times a second. A longer gap means that nobody was awake: a
#: suspended laptop, a stopped process, a frozen container.
LONGEST_TURN_S = 2.0


class AwakeClock:
    """Seconds that this process was awake.

    ``time.monotonic`` stands still while Linux and macOS sleep, but not while a virtual
    machine is paused or a process is stopped.

    Example:
        >>> AwakeClock().now() >= 0.0
        True
    """

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._slept_s = self._last

    def now(self) -> float:
        """The time."""
        return time.monotonic() - self._slept_s

    def turn(self) -> float:
        """A turn of the loop begins; returns the time."""
        now = time.monotonic()
        gap_s = now - self._last
        if gap_s > LONGEST_TURN_S:
            self._slept_s += gap_s
        self._last = now
        return now - self._slept_s
