"""What ended tasks have left behind: one sweep through the processes ends it for several tasks."""

from __future__ import annotations

from cpr_nb.runner import process

#: How often it is swept up: one sweep serves all that ended since.
SWEEP_EVERY_S = 1.0


class Leftovers:
    """The processes that ended tasks may have left behind, by what marks them."""

    def __init__(self) -> None:
        self._tokens: list[str] = []
        self._next_sweep_at = 0.0

    def add(self, token: str) -> None:
        """Has what an attempt left behind ended at the next sweep."""
        self._tokens.append(token)

    def sweep_in_time(self, now: float) -> None:
        """Ends it, if there is any, and the last sweep was long enough ago."""
        if self._tokens and now >= self._next_sweep_at:
            self._next_sweep_at = now + SWEEP_EVERY_S
            self.sweep()

    def sweep(self) -> None:
        """Ends it now."""
        process.sweep(self._tokens)
        self._tokens.clear()
