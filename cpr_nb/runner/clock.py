"""The clock of all time limits: it stops while the machine sleeps, and never jumps."""

from __future__ import annotations

import time

#: The loop turns at least five times a second. A longer gap means that the process slept: a
#: suspended laptop, a stopped process, a frozen container.
LONGEST_TURN_S = 2.0


class AwakeClock:
    """Counts the seconds for which this process was awake.

    ``time.monotonic`` stops while Linux or macOS sleeps, but not while a virtual machine is
    paused or a process is stopped.

    Example:
        >>> AwakeClock().now() >= 0.0
        True
    """

    def __init__(self) -> None:
        self._turned = time.monotonic()
        self._awake_s = 0.0  # until then

    def now(self) -> float:
        """The time: it never goes back."""
        return self._awake_until(time.monotonic())

    def turn(self) -> float:
        """Begins a turn of the loop; returns the time."""
        moment = time.monotonic()
        self._awake_s = self._awake_until(moment)
        self._turned = moment
        return self._awake_s

    def _awake_until(self, moment: float) -> float:
        return self._awake_s + min(moment - self._turned, LONGEST_TURN_S)
