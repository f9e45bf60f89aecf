"""An output of a notebook that can be updated later, also by a thread."""

from __future__ import annotations

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
        self._publish(bundle, update=True)

    def _publish(self, bundle: dict[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._id}
        self._shell.display_pub.publish(
            data=bundle, metadata={}, transient=transient, update=update
        )
