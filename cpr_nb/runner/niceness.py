"""Makes what runs for tasks nice, so that a person's own work comes first on this machine.

A process inherits its nice value, and that decides where the kernel shares the cores out among
processes. A desktop's kernel shares them out among *sessions* first (``sched_autogroup_enabled``):
there, the nice value of a process only counts within its session. Every agent leads a session, and
so does every shell that an agent starts, and a new session is not nice. So the nice value of each
session is set, too (``/proc/PID/autogroup``).
"""

from __future__ import annotations

import os

from cpr_nb.runner import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A third of the share of what is not nice. The command ``nice`` adds 10, which is a tenth: beside
#: other work on all cores, the start of an agent would take ten times as long.
DEFAULT_NICE = 5
#: The nicest value that there is.
NICEST = 19
#: How often new sessions of shells are looked for: shorter commands disturb nobody for long.
_EVERY_S = 1.0
#: How many processes are looked at each time: a build may have very many.
_MOST_PROCESSES = 200
_ENABLED = "/proc/sys/kernel/sched_autogroup_enabled"


class Niceness:
    """Makes processes nice, with all that they start.

    Args:
        nice: What to add to this process's own nice value; 0: nothing is done.

    Example:
        >>> Niceness(0).begin(1)
    """

    def __init__(self, nice: int) -> None:
        self._nice = min(NICEST, os.getpriority(os.PRIO_PROCESS, 0) + nice) if nice else None
        self._has_groups = self._nice is not None and process.read_file(_ENABLED).strip() == b"1"
        self._sessions: set[int] = set()  # that are nice
        self._next_at = 0.0

    def begin(self, pid: int) -> None:
        """Makes a process nice that we have just started; it leads a session and a group."""
        if self._nice is None or pid <= 0:
            return
        try:
            os.setpriority(os.PRIO_PGRP, pid, self._nice)
        except OSError:
            pass  # it has ended

    def follow(self, now: float, pids: Iterable[int]) -> None:
        """Makes the sessions nice that these processes lead, and by and by their descendants.

        Not when a process starts: that would be a tenth of what the runner needs for a task, and
        most of the short ones need no cores.

        Args:
            now: Seconds of the loop's clock.
            pids: What `begin` was called for, and still runs.
        """
        if not self._has_groups:
            return
        if now < self._next_at:
            for pid in pids:
                if pid > 0 and pid not in self._sessions:
                    self._make_session_nice(pid)
            return
        self._next_at = now + _EVERY_S
        nice, self._sessions = self._sessions, set()
        for pid in _with_descendants(pids):
            if pid in nice:
                self._sessions.add(pid)
            elif process.leads_session(pid):
                self._make_session_nice(pid)

    def _make_session_nice(self, pid: int) -> None:
        # Without privileges the kernel takes one such change every 0.1 s, from all users together;
        # what it refuses is tried again.
        try:
            fd = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY)
        except OSError:
            return
        try:
            os.write(fd, str(self._nice).encode())
            self._sessions.add(pid)
        except OSError:
            pass
        finally:
            os.close(fd)


def _with_descendants(pids: Iterable[int]) -> Iterator[int]:
    """Yields these processes and what they have started, nearest first."""
    generation = [pid for pid in pids if pid > 0]
    n_left = _MOST_PROCESSES
    while generation and n_left > 0:
        generation = generation[:n_left]
        n_left -= len(generation)
        yield from generation
        listings = (process.read_file(f"/proc/{pid}/task/{pid}/children") for pid in generation)
        generation = [int(word) for listing in listings for word in listing.split()]
