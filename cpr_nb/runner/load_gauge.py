"""Measures how busy the cores are that we may use, and how much memory is free."""

from __future__ import annotations

import os

from cpr_nb.runner import messages
from cpr_nb.runner.growth import NOT_BUSY
from cpr_nb.store.resources import (
    TASK_MEMORY_BYTES,
    free_memory_bytes,
    read_words,
    usable_cores,
    usable_cpus,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: As long as the start of a CLI and its first requests: what a growth brings shows in it.
EVERY_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class LoadGauge:
    """Measures it now and then, while someone wants to know.

    Args:
        is_wanted: Whether it matters now.
    """

    def __init__(self, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self._next_at = 0.0
        self._n_cores = usable_cores()
        self._cpus = usable_cpus()
        has_all = len(self._cpus) in (0, os.cpu_count())
        self._measure: Callable[[float], float]
        self._measure = self._machine_busy_s if has_all else self._own_cpus_busy_s
        if self._n_cores < (len(self._cpus) or 1):  # a container's share of them
            self._measure = _container_busy_s
        self._before: tuple[float, float] | None = None  # when, and how busy until then

    def poll(self, now: float) -> Iterator[messages.Measured]:
        """Yields what was measured since the last time, if that is due.

        Args:
            now: Seconds of the loop's clock.
        """
        if now < self._next_at:
            return
        self._next_at = now + EVERY_S
        if not self._is_wanted():
            self._before = None
            return
        busy_s = self._measure(now)
        if self._before is not None:
            at_s, before_s = self._before
            share = (busy_s - before_s) / ((now - at_s) * self._n_cores)
            n_more = 0
            if share < NOT_BUSY:  # others may start something, too: half of it is for us
                n_more = free_memory_bytes() // (2 * TASK_MEMORY_BYTES)
            yield messages.Measured(now, min(1.0, max(0.0, share)), n_more)
        self._before = now, busy_s

    def _machine_busy_s(self, now: float) -> float:
        """How long its cores were busy up to now, counted from anywhere."""
        words = read_words("/proc/uptime")
        if len(words) < 2:  # macOS; it only says how many run, on average over a minute
            share = os.getloadavg()[0] / self._n_cores
            before = self._before or (now, 0.0)
            return before[1] + share * (now - before[0]) * self._n_cores
        return float(words[0]) * self._n_cores - float(words[1])

    def _own_cpus_busy_s(self, now: float) -> float:
        """The same, where we may use some of them only."""
        words = read_words("/proc/stat")
        rows = (words.index(b"cpu%d" % cpu) for cpu in self._cpus if b"cpu%d" % cpu in words)
        idle_s = sum(int(words[row + 4]) for row in rows) / _TICKS_PER_S
        return now * len(self._cpus) - idle_s


def _container_busy_s(_: float) -> float:
    words = read_words("/sys/fs/cgroup/cpu.stat")
    return int(words[words.index(b"usage_usec") + 1]) / 1e6 if b"usage_usec" in words else 0.0
