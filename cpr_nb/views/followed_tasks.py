"""The tasks of a session that someone watches: a poll costs what has changed, not what there is."""

from __future__ import annotations

from bisect import bisect_left, insort

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store.times import parse_iso
from cpr_nb.store.watcher import Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot

    _Urgency = tuple[int, float, int]


class FollowedTasks:
    """Follows the tasks of one session, and keeps them in the order of their urgency.

    Args:
        root: The session's folder.

    Example:
        >>> tasks = FollowedTasks("/no/such/session-1")
        >>> tasks.poll(), tasks.most_urgent(3)
        ([], [])
    """

    def __init__(self, root: str) -> None:
        self._watcher = Watcher(root)
        self._forget()

    def _forget(self) -> None:
        self._order: list[_Urgency] = []
        self._urgency: dict[int, _Urgency] = {}

    @property
    def snapshot(self) -> Snapshot:
        """The session as of the last poll."""
        return self._watcher.snapshot

    def poll(self) -> list[int]:
        """Reads what is new.

        Returns:
            The indices of the tasks that have changed, in order; all of them the first time.
        """
        changed = self._watcher.poll()
        tasks = self.snapshot.tasks or []
        if len(tasks) < len(self._order):  # somebody has replaced the session
            self._forget()
            changed = set(range(len(tasks)))
        for index in changed:
            self._place(index, tasks[index])
        return sorted(changed)

    def _place(self, index: int, task: dict[str, Any]) -> None:
        old, new = self._urgency.get(index), (*_urgency(task), index)
        if old is not None:
            del self._order[bisect_left(self._order, old)]
        insort(self._order, new)
        self._urgency[index] = new

    def most_urgent(self, n: int) -> list[int]:
        """The indices of ``n`` tasks: the running ones first, then failures, then the latest."""
        return sorted(index for *_, index in self._order[:n])


def _urgency(task: dict[str, Any]) -> tuple[int, float]:
    state, outcome = task_state(task)
    if state in (states.RUNNING, states.RETRYING):
        rank = 0
    elif outcome in states.FAILURES:
        rank = 1
    else:
        rank = 2 if outcome else 3
    return rank, -(parse_iso(task.get("ended_at")) or 0.0)
