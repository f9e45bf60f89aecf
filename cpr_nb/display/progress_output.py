"""The line of a wait in a notebook: HTML that is updated by the cell that waits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cpr_nb.display.card_templates import css, render
from cpr_nb.display.display_handle import DisplayHandle, shell
from cpr_nb.display.ticker import ticker
from cpr_nb.views.wait_text import one_line_text

if TYPE_CHECKING:
    from cpr_nb.views.wait_progress import WaitProgress

_TEXT_WIDTH = 79


def is_kernel() -> bool:
    """Whether this is a cell of a kernel."""
    return shell() is not None


def kernel_output(root: str) -> ProgressOutput | TextOutput | None:
    """Where a cell shows the line of a session; None where a live view shows the session.

    Args:
        root: The session's folder.
    """
    if _serves_terminal():  # which shows no view
        return TextOutput()
    return None if ticker.shows(root) else ProgressOutput()


def _serves_terminal() -> bool:
    """Whether the cell was typed in a terminal: it has no id, and can be asked for input."""
    request = shell().kernel.get_parent()
    may_ask = request.get("content", {}).get("allow_stdin", False)
    return bool(may_ask) and "cellId" not in request.get("metadata", {})


class ProgressOutput:
    """The line in the output of a cell."""

    def __init__(self) -> None:
        self._display = DisplayHandle()
        self._shown: dict[str, Any] = {}

    def draw(self, progress: WaitProgress) -> None:
        """Shows it, or updates it."""
        bundle = {
            "text/plain": f"{progress.name}: {progress.text}",
            "text/html": str(render("wait", css=css(), progress=progress)),
        }
        if bundle == self._shown:
            return
        (self._display.update if self._shown else self._display.show)(bundle)
        self._shown = bundle

    def end(self, progress: WaitProgress) -> None:
        """Shows how it ended."""
        self.draw(progress)


class TextOutput:
    """The line where a kernel serves a terminal, which updates no output: jupyter console."""

    def __init__(self) -> None:
        self._shown = ""

    def draw(self, progress: WaitProgress) -> None:
        """Redraws it."""
        text = one_line_text(progress, _TEXT_WIDTH).ljust(_TEXT_WIDTH)
        if text != self._shown:
            self._shown = text
            sys.stdout.write(f"\r{text}")
            sys.stdout.flush()

    def end(self, progress: WaitProgress) -> None:
        """Leaves the last one there."""
        self.draw(progress)
        sys.stdout.write("\n")
        sys.stdout.flush()
