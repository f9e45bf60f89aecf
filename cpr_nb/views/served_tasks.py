"""How many tasks of a session shared CLI processes, in one line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def served_line(tasks: Iterable[dict[str, Any]]) -> str:
    """How many tasks were served by shared processes, and by how many; empty if none was.

    Args:
        tasks: Their fields in status.json.

    Example:
        >>> served_line([{"process": 1}, {"process": 2}, {"process": 1}, {}])
        'Shared processes: 2 served 3 of 4 tasks'
    """
    every = [task.get("process") for task in tasks]
    processes = [process for process in every if isinstance(process, int)]
    if not processes:
        return ""
    n_different = len(set(processes))
    return f"Shared processes: {n_different} served {len(processes)} of {len(every)} tasks"
