"""How many shared processes a session needs. Pure.

A start costs as much of the processor as several short tasks, so more processes than needed make
short tasks slower; while tasks wait for the API, more of them do it side by side. The figures are
from ``python -m benchmarks --only shared``.
"""

from __future__ import annotations

from math import ceil, sqrt

#: How long a start takes, in seconds of a core (measured: 0.41 to 0.5).
START_S = 0.5
#: The first process is alone until its first task has ended, or for so long.
ALONE_S = 1.0
#: How often the number of processes may double after that.
DOUBLE_EVERY_S = 0.5


class Sizing:
    """Decides how many processes serve one group.

    Args:
        n_cores: The cores that may be used.

    Example:
        >>> sizing = Sizing(n_cores=2)
        >>> sizing.wanted(0.0, n_left=100, n_ready=0, max_parallel=8)
        1
    """

    __slots__ = ("_allowed", "_begun_at", "_grown_at", "_n_cores", "_n_ended", "_wait_s")

    def __init__(self, n_cores: int) -> None:
        self._n_cores = n_cores
        self._begun_at: float | None = None  # when the first task began
        self._grown_at = 0.0
        self._allowed = 1
        self._n_ended = 0
        self._wait_s = 0.0  # the mean

    def began(self, at_s: float) -> None:
        """A task has begun."""
        if self._begun_at is None:
            self._begun_at = at_s

    def ended(self, duration_s: float, busy_s: float) -> None:
        """A task has ended.

        Args:
            duration_s: How long it took.
            busy_s: How long of that its process used a core, or waited for one.
        """
        self._n_ended += 1
        self._wait_s += (max(0.0, duration_s - busy_s) - self._wait_s) / self._n_ended

    def wanted(
        self, at_s: float, *, n_left: int, n_ready: int, max_parallel: float, n_long: int = 0
    ) -> int:
        """How many processes there should be now.

        Args:
            at_s: The time.
            n_left: How many tasks have no process yet, or are under way.
            n_ready: How many processes have started. Those that still start don't count: on a busy
                machine that takes long, and what has started might serve all tasks meanwhile.
            max_parallel: How many tasks may run at once.
            n_long: How many of those that have started wait for longer than `ALONE_S`, for their
                present task: whatever the mean says, the others must not wait for it.
        """
        elapsed_s = 0.0 if self._begun_at is None else at_s - self._begun_at
        if not self._n_ended and elapsed_s < ALONE_S:
            return min(1, n_left)
        wait_s = self._wait_s if self._n_ended else elapsed_s
        best = max(self._n_cores / 2, sqrt(n_left * wait_s / START_S))
        if n_long >= n_ready:
            best = max(best, 2 * n_long)
        best = int(min(ceil(best), max_parallel, n_left))
        may_grow = best > n_ready and at_s >= self._grown_at + DOUBLE_EVERY_S
        if may_grow and 2 * n_ready > self._allowed:
            self._grown_at = at_s
            self._allowed = 2 * n_ready
        return min(best, max(self._allowed, 1))

    def next_at(self, at_s: float) -> float | None:
        """When the number may grow next; None if only the end of a task could change that."""
        if self._begun_at is None:
            return None
        alone_until = self._begun_at + ALONE_S
        moment = self._grown_at + DOUBLE_EVERY_S if self._n_ended else alone_until
        return moment if moment > at_s else None
