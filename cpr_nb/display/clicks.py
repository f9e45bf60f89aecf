"""Clicks in a live view while a cell waits or computes: ipykernel would deliver them after it.

The messages of widgets lie behind the cell that runs: in a queue (ipykernel 6), or in tasks of a
context that the cell has entered, so that no nested loop may run them (ipykernel 7).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KINDS = ("comm_open", "comm_msg", "comm_close")


@contextlib.contextmanager
def delivered_meanwhile() -> Iterator[Callable[[], None]]:
    """While a cell waits, delivers the messages of widgets; cells and all others stay queued.

    Yields:
        Delivers what has come until now. Whoever runs the kernel's loop need not call it.

    Example:
        >>> with delivered_meanwhile() as deliver:
        ...     deliver()  # there is no kernel here
    """
    kernel = _kernel()
    stream = None if kernel is None else _stream_of_cells(kernel)
    if stream is None:
        yield lambda: None
        return
    usual = stream._recv_callback

    def on_recv(frames: list[Any]) -> Any:
        if usual is None or _is_delivered(kernel, frames):
            return None
        return usual(frames)

    def deliver() -> None:
        stream.flush(flag=1)  # zmq.POLLIN

    stream.on_recv(on_recv, copy=False)
    try:
        _deliver_queued(kernel)
        yield deliver
    finally:
        stream.on_recv(usual, copy=False)


def deliver_at_once(widget: Any) -> None:
    """Lets what the browser sends to a widget arrive while a cell computes, on another thread.

    Frontends such as JupyterLab send it to a thread of the kernel that is there for it (a
    subshell). ipykernel 7.4 would hand it to the one that sent to the widget last: to the cell's.

    Args:
        widget: The widget; what it does with a message must not depend on the thread.
    """
    if getattr(widget.comm, "_reply_subshell_for", None) is not None:
        widget.comm._reply_subshell_for = lambda _data, usual: usual


def _kernel() -> Any:
    """The ipykernel whose cell this thread runs; None if it runs none."""
    if "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return None
    from cpr_nb.display.display_handle import shell

    return getattr(shell(), "kernel", None)


def _stream_of_cells(kernel: Any) -> Any:
    """Where its main thread receives cells and the messages of widgets; None if nobody knows."""
    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None:
        stream = getattr(kernel, "shell_stream", None)
    else:
        pair = getattr(thread.manager, "get_shell_channel_to_subshell_pair", lambda _: None)(None)
        stream = getattr(pair, "to_stream", None)
    return stream if hasattr(stream, "_recv_callback") else None


def _is_delivered(kernel: Any, frames: list[Any]) -> bool:
    """Whether a message is one for a widget: then it has been delivered."""
    try:
        idents, parts = kernel.session.feed_identities(frames, copy=False)
        header = kernel.session.unpack(parts[1].bytes)
        if header["msg_type"] not in _KINDS:
            return False
        message = kernel.session.deserialize(parts, content=True, copy=False)
    except Exception:  # what can't be read is the kernel's to report
        return False
    getattr(kernel.comm_manager, header["msg_type"])(kernel.shell_stream, idents, message)
    return True


def _deliver_queued(kernel: Any) -> None:
    """Delivers what lies between cells in the queue of ipykernel 6."""
    queue = getattr(kernel, "msg_queue", None)
    if queue is None:
        return
    for item in [queue.get_nowait() for _ in range(queue.qsize())]:
        _, dispatch, arguments = item
        is_message = dispatch == kernel.dispatch_shell
        if not (is_message and _is_delivered(kernel, *arguments)):
            queue.put_nowait(item)
