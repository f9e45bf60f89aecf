"""Waits in synchronous code, even where an event loop runs: the only place that may nest one.

In a notebook, the kernel's loop runs in the thread that waits. If that thread slept, the user's own
asyncio tasks would stand still, so the wait runs the loop. asyncio refuses that; nest-asyncio2
permits it. (Its predecessor nest-asyncio is no longer maintained, and loses queued cells.) Queued
cells do not run nested: the kernel holds a lock while a cell runs.

nest-asyncio2 changes asyncio in the whole process. So the first wait that needs it loads it, and an
import never does. ``await session`` and ``async for`` do not need it.
"""

from __future__ import annotations

import contextlib
import sys
import time

from cpr_nb.handles.wait_line import wait_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator


def until(condition: Callable[[], bool], root: str = "") -> None:
    """Checks a condition until it holds: often at first, then every 0.2 s.

    In a notebook, clicks in a live view are answered meanwhile.

    Args:
        condition: What to wait for. An exception that it raises ends the wait.
        root: The folder of the session that is waited for, to show how far it is; "" shows nothing.

    Raises:
        KeyboardInterrupt: After Ctrl-C, even where the loop's own handler would only have
            cancelled the waiting task at its next ``await``.

    Example:
        >>> numbers = iter(range(3))
        >>> until(lambda: next(numbers) == 2)
    """
    owner = _sigint_owner()
    # A cell that contains `await` is a task. After an earlier Ctrl-C, running the loop would cancel
    # that task outside an `await`, and ipykernel would never answer the cell.
    loop = None if owner == "ipykernel" else _running_loop()
    with _interruptible(owner):
        if condition():
            return
        with _meanwhile(root) as act:
            for delay_s in poll_delays_s():
                act()
                if loop is None:
                    time.sleep(delay_s)
                else:
                    _run_nested(loop, delay_s)
                if condition():
                    return


async def until_async(condition: Callable[[], bool], root: str = "") -> None:
    """The same for ``await``.

    Args:
        condition: What to wait for. An exception that it raises ends the wait.
        root: The folder of the session that is waited for, to show how far it is; "" shows nothing.
    """
    if condition():
        return
    import asyncio

    with _meanwhile(root) as act:
        for delay_s in poll_delays_s():
            act()
            await asyncio.sleep(delay_s)
            if condition():
                return


@contextlib.contextmanager
def _meanwhile(root: str) -> Iterator[Callable[[], None]]:
    """What a wait does between two checks: it delivers clicks, and shows how far the session is."""
    acts = []
    with contextlib.ExitStack() as stack:
        if "ipykernel" in sys.modules:
            from cpr_nb.display.clicks import delivered_meanwhile

            acts.append(stack.enter_context(delivered_meanwhile()))
        if root:
            acts.append(stack.enter_context(wait_line(root)))

        def act() -> None:
            for one in acts:
                one()

        yield act


def poll_delays_s() -> Iterator[float]:
    """How long to wait between two reads of a folder: short at first, then 0.2 s."""
    delay_s = 0.01
    while True:
        yield delay_s
        delay_s = min(0.2, delay_s * 1.3)


class Deadline:
    """When a wait ends.

    Args:
        timeout_s: How long it may last.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end_at = time.monotonic() + timeout_s

    @property
    def is_over(self) -> bool:
        """Whether it has lasted that long."""
        return time.monotonic() >= self._end_at


def deadline(timeout_s: float | None) -> Deadline | None:
    """When a wait of some seconds ends; None for never."""
    return None if timeout_s is None else Deadline(timeout_s)


def _running_loop() -> asyncio.BaseEventLoop | None:
    """The loop that runs in this thread, if it can be nested."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:  # then there is no loop; importing asyncio is slow
        return None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, asyncio.BaseEventLoop) else None  # not so a loop of uvloop


def _run_nested(loop: asyncio.BaseEventLoop, delay_s: float) -> None:
    """Runs a loop that is already running for a while."""
    import asyncio

    import nest_asyncio2

    nest_asyncio2.apply(loop)
    nested = loop.create_task(asyncio.sleep(delay_s))
    try:
        loop.run_until_complete(nested)
    finally:
        nested.cancel()  # after an interrupt it is not done


def _sigint_owner() -> str:
    """The package whose handler Ctrl-C calls in this thread; empty if there is none."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        return ""
    handler = signal.getsignal(signal.SIGINT)
    module = getattr(getattr(handler, "func", handler), "__module__", None)
    return str(module or "").split(".", 1)[0]


@contextlib.contextmanager
def _interruptible(owner: str) -> Iterator[None]:
    """Lets Ctrl-C raise KeyboardInterrupt instead of calling a handler that only cancels a task.

    ipykernel (for cells that contain ``await``) and `asyncio.run` have such a handler, and the wait
    would not end before its time. Any other handler stays.
    """
    if owner not in ("asyncio", "ipykernel"):
        yield
        return
    import signal

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
