"""An output of a notebook that can be updated later, also by a thread."""

from __future__ import annotations

import threading
import uuid
from typing import Any


def shell() -> Any:
    """Returns the IPython shell of this kernel; None where there is no kernel."""
    import sys

    if "IPython" not in sys.modules:  # no kernel runs without it
        return None
    from IPython.core.getipython import get_ipython

    current = get_ipython()  # type: ignore[no-untyped-call, unused-ignore]
    return current if hasattr(current, "kernel") else None


class DisplayHandle:
    """One output, with an id of its own."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._shell = shell()

    def show(self, bundle: dict[str, Any]) -> None:
        """Shows a MIME bundle in the cell that runs."""
        self._publish(bundle, update=False)

    def update(self, bundle: dict[str, Any]) -> None:
        """Replaces what is shown; from any thread."""
        self.publish_update(bundle)
        if threading.current_thread() is not threading.main_thread():
            _repeat_in_next_cell(self, bundle)

    def publish_update(self, bundle: dict[str, Any]) -> None:
        """Replaces what is shown, as far as somebody hears it now."""
        self._publish(bundle, update=True)

    def _publish(self, bundle: dict[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._id}
        self._shell.display_pub.publish(
            data=bundle, metadata={}, transient=transient, update=update
        )


_repeated: dict[DisplayHandle, dict[str, Any]] = {}
_shells_that_repeat: set[int] = set()


def _repeat_in_next_cell(handle: DisplayHandle, bundle: dict[str, Any]) -> None:
    """Repeats an update at the end of the next cell, for programs that run a notebook.

    Those, such as nbclient, ignore what arrives between two cells
    (``findings/nbclient-loses-updates-between-cells.sh``).
    """
    _repeated[handle] = bundle
    current = shell()
    if current is not None and id(current) not in _shells_that_repeat:
        _shells_that_repeat.add(id(current))
        current.events.register("post_run_cell", _repeat)


def _repeat(_result: object = None) -> None:
    request = shell().kernel.get_parent()
    is_program = not request.get("content", {}).get("allow_stdin", True)
    while _repeated:
        handle, bundle = _repeated.popitem()
        if is_program:
            handle.publish_update(bundle)
