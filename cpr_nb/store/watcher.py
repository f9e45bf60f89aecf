"""Reading a session again and again: only what has changed is parsed."""

from __future__ import annotations

import json
import os

from cpr_nb.model import states
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import TASKS_MARK, Snapshot, open_regular, read_session, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Watcher:
    """Keeps the snapshot of one session up to date.

    status.json has a line a task: at each look the lines are compared, and only those that
    differ are parsed. What has another form (the seed's) is read as a whole.

    Args:
        root: The session's folder.

    Example:
        >>> watcher = Watcher("/no/such/session-1")
        >>> watcher.look(), watcher.snapshot.state
        (set(), 'unreadable')
    """

    def __init__(self, root: str) -> None:
        self.paths = SessionPaths(root)
        self.snapshot = Snapshot(self.paths, {}, [], states.UNREADABLE)
        self._seen: tuple[int, int, int] | None = None
        self._head = b""
        self._lines: list[bytes] = []

    def look(self) -> set[int]:
        """Brings `snapshot` up to date.

        Returns:
            The indices of the tasks that have changed, all of them after the first look.
        """
        try:
            stat = os.stat(self.paths.status)
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            seen = None
        if seen is None or seen != self._seen:
            self._seen = seen
            return self._read()
        if self.snapshot.state not in states.ENDED_STATES:
            state = state_of(self.paths, self.snapshot.head)
            if state == states.INTERRUPTED and state != self.snapshot.state:
                return self._read()  # it may have written its end between our two looks
            self.snapshot.state = state
        return set()

    def _read(self) -> set[int]:
        try:
            with open_regular(self.paths.status) as file:
                data = file.read()
        except OSError:
            data = b""
        head, mark, rest = data.partition(TASKS_MARK)
        lines = rest.removesuffix(b"\n]}\n").split(b"\n")
        if mark and rest.endswith(b"\n]}\n") and len(lines) == len(self._lines):
            changed = {n for n, line in enumerate(lines) if line != self._lines[n]}
            if self._take(head, lines, changed):
                return changed
        changed = self._read_whole()
        is_ours = mark and len(lines) == len(self.snapshot.tasks or ())
        self._head, self._lines = (head, lines) if is_ours else (b"", [])
        return changed

    def _take(self, head: bytes, lines: list[bytes], changed: set[int]) -> bool:
        """Takes the lines that differ; False if one of them is not what it should be."""
        try:
            told = json.loads(head + b"}") if head != self._head else self.snapshot.head
            fresh = {number: json.loads(lines[number].removesuffix(b",")) for number in changed}
        except (ValueError, RecursionError):
            return False
        if not all(isinstance(value, dict) for value in (told, *fresh.values())):
            return False
        tasks: list[dict[str, Any]] = self.snapshot.tasks or []
        for number, task in fresh.items():
            tasks[number] = task
        state = state_of(self.paths, told)
        if state == states.INTERRUPTED and self.snapshot.state != state:
            return False  # as `read_session` does: look twice
        self.snapshot = Snapshot(self.paths, told, tasks, state)
        self._head, self._lines = head, lines
        return True

    def _read_whole(self) -> set[int]:
        before = self.snapshot
        snapshot = read_session(self.paths.root)
        if snapshot.state == states.UNREADABLE and before.is_seed and self._seen:
            return set()  # the seed writes in place: the last good one still tells more
        self.snapshot = snapshot
        old, new = before.tasks or [], snapshot.tasks or []
        return {n for n, task in enumerate(new) if n >= len(old) or task != old[n]}
