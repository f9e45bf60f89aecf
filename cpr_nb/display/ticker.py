"""The one thread of a kernel that keeps what is shown up to date.

An ordinary thread: a task on the kernel's own loop stands still while a cell computes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

#: The time between two looks while things change, and at most.
TICK_S = 0.1
SLOWEST_S = 1.0


class Shown(Protocol):
    """What the thread keeps up to date."""

    def tick(self) -> float | None:
        """Looks once.

        Returns:
            After how many seconds to look again; None if nothing more will come.
        """
        ...

    def fail(self, error: Exception) -> None:
        """Is told why it will not be looked after any more."""
        ...


class Ticker:
    """Looks after everything that is shown; its thread ends when there is nothing left.

    Example:
        >>> Ticker().is_running
        False
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._due: dict[Shown, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None

    def add(self, shown: Shown) -> None:
        """Looks after something from now on, or at once if it does so already."""
        with self._lock:
            self._due[shown] = 0.0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cpr-live", daemon=True)
                self._thread.start()
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.clear()
            with self._lock:
                if not self._due:
                    self._thread = None
                    return
                now = time.monotonic()
                due = [shown for shown, at in self._due.items() if at <= now]
                wait_s = min(self._due.values()) - now
            for shown in due:
                self._tick(shown)
            if not due:
                self._woken.wait(wait_s)

    def _tick(self, shown: Shown) -> None:
        with self._lock:
            self._due[shown] = float("inf")  # whoever adds it again from now on is heard
        again_s: float | None = None
        try:
            again_s = shown.tick()
        except Exception as error:  # one that can't be shown must not stop the others
            with contextlib.suppress(Exception):  # such as a widget that is closed
                shown.fail(error)
        with self._lock:
            if self._due[shown] != float("inf"):
                return
            if again_s is None:
                del self._due[shown]
            else:
                self._due[shown] = time.monotonic() + again_s


#: The one of this kernel.
ticker = Ticker()


def pace(last_s: float, *, changed: bool) -> float:
    """How long to wait for the next look: short while things change, then longer and longer.

    Example:
        >>> pace(0.5, changed=True), pace(0.0, changed=False), pace(0.9, changed=False)
        (0.1, 0.12, 1.0)
    """
    return TICK_S if changed else min(SLOWEST_S, round(max(TICK_S, last_s) * 1.2, 3))
