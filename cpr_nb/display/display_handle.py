"""A place in a notebook's output that can be filled again, also by a thread."""

from __future__ import annotations

import uuid
from typing import Any


def shell() -> Any:
    """The IPython shell of this kernel; None where there is no kernel to show anything."""
    import sys

    if "IPython" not in sys.modules:  # nobody runs in it then
        return None
    from IPython.core.getipython import get_ipython

    found = get_ipython()  # type: ignore[no-untyped-call, unused-ignore]
    return found if hasattr(found, "kernel") else None


class Place:
    """One output, known by an id of its own."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._shell = shell()

    def show(self, bundle: dict[str, Any]) -> None:
        """Shows something in the cell that runs."""
        self._publish(bundle, update=False)

    def update(self, bundle: dict[str, Any]) -> None:
        """Shows something else instead; from any thread."""
        self._publish(bundle, update=True)

    def _publish(self, bundle: dict[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._id}
        self._shell.display_pub.publish(
            data=bundle, metadata={}, transient=transient, update=update
        )
