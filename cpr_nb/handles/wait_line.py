"""The line that a wait shows where nothing else shows the session: how far it is, in place.

In a notebook it is HTML, in a terminal it is redrawn. Elsewhere, such as in a log, a line is
written when something has ended, at most every 30 s. Only the main thread shows it.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from cpr_nb.views.wait_progress import ProgressFollower, WaitProgress

_REDRAW_S = 0.5
_LOG_EVERY_S = 30.0
_hidden = False
_in_terminal = _thread.allocate_lock()  # of several waits at once, one has the terminal's line


class Output(Protocol):
    """Where the line is shown."""

    def draw(self, progress: WaitProgress) -> None:
        """Shows it."""
        ...

    def end(self, progress: WaitProgress) -> None:
        """Shows it for the last time."""
        ...


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Waits within show nothing.

    Example:
        >>> with hidden():
        ...     pass
    """
    global _hidden
    before, _hidden = _hidden, True
    try:
        yield
    finally:
        _hidden = before


@contextlib.contextmanager
def wait_line(root: str) -> Iterator[Callable[[], None]]:
    """Shows the line of a session while someone waits for it.

    Args:
        root: The session's folder.

    Yields:
        Brings the line up to date. Before its first call nothing is shown.
    """
    line = _WaitLine(root)
    try:
        yield line.update
    finally:
        line.end()


class _WaitLine:
    def __init__(self, root: str) -> None:
        self._root = root
        self._due_at = 0.0
        self._output: Output | None = None
        self._follower: ProgressFollower | None = None

    def update(self) -> None:
        now = time.monotonic()
        if now < self._due_at:
            return
        self._due_at = now + _REDRAW_S
        try:
            self._draw()
        except (OSError, ValueError):  # nobody reads it any more
            self._due_at = float("inf")

    def _draw(self) -> None:
        if self._follower is None:
            self._output = _output_for(self._root)
            if self._output is None:
                self._due_at = float("inf")
                return
            from cpr_nb.stats.live_forecast import live_forecast
            from cpr_nb.views.wait_progress import ProgressFollower

            self._follower = ProgressFollower(self._root, live_forecast)
        if self._output is not None:
            self._output.draw(self._follower.poll())

    def end(self) -> None:
        if self._output is not None and self._follower is not None:
            with contextlib.suppress(OSError, ValueError):
                self._output.end(self._follower.poll())


def _output_for(root: str) -> Output | None:
    """Where to show the line of a session; None where something else shows it, or nobody looks."""
    import threading  # what every command loads must stay small

    if _hidden or threading.current_thread() is not threading.main_thread():
        return None
    if "ipykernel" in sys.modules:
        from cpr_nb.display.progress_output import is_kernel, kernel_output

        if is_kernel():
            return kernel_output(root)
    stream = sys.stderr
    if stream is None:
        return None
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalLine(stream) if _in_terminal.acquire(blocking=False) else None
    return LogLines(stream)


class TerminalLine:
    """The line in a terminal.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_coloured = "NO_COLOR" not in os.environ
        self._shown = ""

    def draw(self, progress: WaitProgress) -> None:
        """Redraws it."""
        import shutil  # it loads bz2 and lzma

        from cpr_nb.views.wait_text import one_line_text

        width = shutil.get_terminal_size((80, 24)).columns - 1
        text = one_line_text(progress, width, is_coloured=self._is_coloured)
        if text != self._shown:
            self._shown = text
            self._stream.write(f"\r{text}\x1b[K")
            self._stream.flush()

    def end(self, progress: WaitProgress) -> None:
        """Leaves the last one there."""
        try:
            self.draw(progress)
            self._stream.write("\n")
            self._stream.flush()
        finally:
            _in_terminal.release()


class LogLines:
    """Lines in a log, few enough for hours of waiting.

    Args:
        stream: The log.
        clock: What time it is, in seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._written_at = clock()
        self._n_ended = -1

    def draw(self, progress: WaitProgress) -> None:
        """Writes a line if something has ended, and the last line is old enough."""
        if self._n_ended < 0:
            self._n_ended = progress.n_ended
        is_due = self._clock() - self._written_at >= _LOG_EVERY_S
        if is_due and progress.n_ended > self._n_ended:
            self._n_ended, self._written_at = progress.n_ended, self._clock()
            self._stream.write(f"{progress.name}: {progress.text}\n")
            self._stream.flush()

    def end(self, progress: WaitProgress) -> None:
        """Writes nothing: whoever has waited goes on."""
