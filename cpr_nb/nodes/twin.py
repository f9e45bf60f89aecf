"""The twin of a node agent: ends what it has started once it is dead, or its lease is over.

It is forked before anything else is loaded, and does nothing but wait for words of the node agent.
A node agent that is stopped, or swapped out, can't end its tasks in time: its twin does.
"""

from __future__ import annotations

import os
import select
import signal

from cpr_nb.nodes.timing import LeaseTimes, boot_clock_s
from cpr_nb.runner import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LEAVE = b"leave"
#: How long a node agent that has closed its pipe may take to be gone, and its locks with it.
_GONE_MS = 10_000
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def marks(life: str, n_marks: int) -> list[str]:
    """What marks the processes of a life: another mark after each lease that was over.

    A twin that still ends what ran in the earlier lease must not end what begins in the next.

    Example:
        >>> marks("n1.host", 3)
        ['n1.host', 'n1.host+1', 'n1.host+2']
    """
    return [life, *(f"{life}+{number}" for number in range(1, n_marks))]


class Twin:
    """The node agent's side: its words to its twin.

    Args:
        life: The node agent's life: what it starts carries it.
        times: The times of a lease.
        on_fork: Called in the twin at first.
        on_death: Called in the twin once the node agent has died and what ran was ended.
    """

    def __init__(
        self,
        life: str,
        times: LeaseTimes,
        on_fork: Callable[[], None],
        on_death: Callable[[], None],
    ) -> None:
        read_fd, self._fd = os.pipe()
        node_agent_fd = os.pidfd_open(os.getpid())
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._fd)
                on_fork()
                if _outlives(read_fd, life, times):
                    _await_end(node_agent_fd)
                    on_death()
            finally:
                os._exit(0)
        os.close(read_fd)
        os.close(node_agent_fd)
        os.set_blocking(self._fd, False)

    def extend(self, lease_end: float, n_marks: int) -> None:
        """The lease ends then, in seconds of the boot clock; so many marks were used."""
        self._send(f"{lease_end:.3f} {n_marks}".encode())

    def dismiss(self) -> None:
        """Nothing runs any more, and the node agent leaves."""
        self._send(_LEAVE)
        os.close(self._fd)

    def _send(self, word: bytes) -> None:
        try:
            os.write(self._fd, word + b"\n")
        except (BlockingIOError, BrokenPipeError):
            pass  # it is stopped, or dead: then the lease is in the node agent's own hands


def _await_end(pidfd: int) -> None:
    """Waits for the end of a process that has closed its pipe: its locks may go after that."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.poll(_GONE_MS)


def _outlives(fd: int, life: str, times: LeaseTimes) -> bool:
    """Watches the node agent; returns whether it has died. What it had started is ended then."""
    os.setsid()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    lease_end, n_marks, unread = float("inf"), 1, b""
    while True:
        # The node agent ends it first, and with patience.
        end = lease_end + times.term_s + times.grace_s / 4
        if poller.poll(None if end == float("inf") else 1000 * max(0.0, end - boot_clock_s())):
            words = os.read(fd, 65536)
            if not words:
                break
            *lines, unread = (unread + words).split(b"\n")
            if _LEAVE in lines:
                return False
            for line in lines[-1:]:
                lease_end, n_marks = float(line.split()[0]), int(line.split()[1])
        elif boot_clock_s() >= end:  # and all words were read: this process may have been slow
            process.sweep((), lives=marks(life, n_marks))
            lease_end = float("inf")
    process.sweep((), lives=marks(life, n_marks))
    return True
