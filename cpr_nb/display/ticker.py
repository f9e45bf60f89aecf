"""The one thread of a kernel that keeps live views up to date.

An ordinary thread: a task on the kernel's own loop would stand still while a cell computes.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
from functools import partial
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

    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""
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
        self._tick_lock = threading.Lock()  # a view is ticked by one thread at a time
        self._woken = threading.Event()
        self._due: dict[Tickable, float] = {}
        self._thread: threading.Thread | None = None
        self._cell: contextvars.Context | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    def add(self, view: Tickable) -> None:
        """Ticks a view now and from now on."""
        with self._lock:
            self._due[view] = 0.0
            if self._cell is None:
                self._cell = contextvars.copy_context()
            if self._thread is None:
                run = partial(self._cell.copy().run, self._run) if _needs_cell() else self._run
                self._thread = threading.Thread(target=run, name="cpr-live", daemon=True)
                self._thread.start()
        self._woken.set()

    def shows(self, root: str) -> bool:
        """Whether a view that is kept up to date shows the session of a folder."""
        with self._lock:
            views = list(self._due)
        return any(view.shows(root) for view in views)

    def flush(self) -> None:
        """Ticks every view in this thread, so that all are up to date when it returns.

        What a cell's own thread sends while the cell runs belongs to that cell. A program that
        runs a notebook, such as nbclient, ignores what arrives between two cells
        (``findings/nbclient-loses-updates-between-cells.sh``).
        """
        with self._lock:
            views = list(self._due)
        for view in views:
            self._tick(view)
        self._woken.set()  # its thread must see when they are due next

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
                self._woken.wait(wait_s if wait_s < threading.TIMEOUT_MAX else None)

    def _tick(self, view: Tickable) -> None:
        with self._tick_lock:
            self._tick_alone(view)

    def _tick_alone(self, view: Tickable) -> None:
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


def _needs_cell() -> bool:
    """Whether a thread must run in the context of a cell, or all that it sends is lost.

    So it is with ipykernel 7.0. With the others, what a thread sends belongs to the newest cell.
    """
    ipykernel = sys.modules.get("ipykernel")
    return tuple(getattr(ipykernel, "version_info", ())[:2]) == (7, 0)


#: The ticker of this kernel.
ticker = Ticker()


def pace(last_s: float, *, changed: bool) -> float:
    """Returns the seconds to the next tick: few while things change, then more and more.

    Example:
        >>> pace(0.5, changed=True), pace(0.0, changed=False), pace(0.9, changed=False)
        (0.1, 0.12, 1.0)
    """
    return TICK_S if changed else min(SLOWEST_S, round(max(TICK_S, last_s) * 1.2, 3))
