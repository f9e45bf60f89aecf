"""What wakes the loop: a child's end, an adopted process's end, a signal, or time."""

from __future__ import annotations

import os
import select
import signal


class Wakeup:
    """Waits for whatever comes first.

    Example:
        ``wakeup = Wakeup(); wakeup.wait(200.0)``
    """

    def __init__(self) -> None:
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(write_fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is ignored stays ignored in our children.
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGHUP, _nothing)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGCONT, self._on_continue)
        self._poller = select.poll()
        self._poller.register(self._read_fd, select.POLLIN)
        #: Whether this process was stopped (SIGSTOP), and continues since.
        self.was_stopped = False
        #: The last signal to stop that came, and how many came.
        self.stop_signal = 0
        self.n_stops = 0

    def watch(self, fd: int) -> None:
        """Also wakes when this descriptor becomes readable."""
        self._poller.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Stops watching a descriptor."""
        self._poller.unregister(fd)

    def wait(self, timeout_ms: float) -> set[int]:
        """Waits; returns the watched descriptors that became readable."""
        ready = {fd for fd, _ in self._poller.poll(timeout_ms)}
        if self._read_fd in ready:
            ready.discard(self._read_fd)
            try:
                while os.read(self._read_fd, 4096):
                    pass
            except BlockingIOError:
                pass
        return ready

    def _on_stop_signal(self, number: int, _frame: object) -> None:
        self.stop_signal = number
        self.n_stops += 1

    def _on_continue(self, _number: int, _frame: object) -> None:
        self.was_stopped = True


def _nothing(_number: int, _frame: object) -> None:
    pass
