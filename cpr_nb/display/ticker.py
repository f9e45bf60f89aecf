"""The one thread of a kernel that keeps live views up to date.

An ordinary thread: a task on the kernel's own loop would stand still while a cell computes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

#: The time between two ticks while things change, and the longest one.
TICK_S = 0.1
SLOWEST_S = 1.0


class Tickable(Protocol):
    """A view that the thread keeps up to date."""

    def tick(self) -> float | None:
        """Brings the view up to date.

        Returns:
            Seconds until the next tick; None if none is needed.
        """
        ...

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date: its tick has raised."""
        ...


class Ticker:
    """Ticks every live view; its thread ends when there is none left.

    Example:
        >>> Ticker().is_running
        False
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._due: dict[Tickable, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    def add(self, view: Tickable) -> None:
        """Ticks a view now and from now on."""
        with self._lock:
            self._due[view] = 0.0
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
                due = [view for view, due_at in self._due.items() if due_at <= now]
                wait_s = min(self._due.values()) - now
            for view in due:
                self._tick(view)
            if not due:
                self._woken.wait(wait_s)

    def _tick(self, view: Tickable) -> None:
        with self._lock:
            self._due[view] = float("inf")  # add() changes it, if it comes during the tick
        next_s: float | None = None
        try:
            next_s = view.tick()
        except Exception as error:  # a broken view must not stop the others
            with contextlib.suppress(Exception):  # such as a widget that is closed
                view.on_error(error)
        with self._lock:
            if self._due[view] != float("inf"):
                return
            if next_s is None:
                del self._due[view]
            else:
                self._due[view] = time.monotonic() + next_s


#: The ticker of this kernel.
ticker = Ticker()


def pace(last_s: float, *, changed: bool) -> float:
    """Returns the seconds to the next tick: few while things change, then more and more.

    Example:
        >>> pace(0.5, changed=True), pace(0.0, changed=False), pace(0.9, changed=False)
        (0.1, 0.12, 1.0)
    """
    return TICK_S if changed else min(SLOWEST_S, round(max(TICK_S, last_s) * 1.2, 3))
