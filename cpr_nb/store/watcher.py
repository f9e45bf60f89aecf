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


_END = b"\n]}\n"


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
        self._lines = b""

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
        head, mark, lines = data.partition(TASKS_MARK)
        if mark and self._lines and lines.endswith(_END):
            differ = _differences(self._lines, lines)
            if differ is not None and self._take(head, lines, differ):
                return set(differ)
        changed = self._read_whole()
        is_ours = mark and lines.count(b"\n") == len(self.snapshot.tasks or ()) + 1
        self._head, self._lines = (head, lines) if is_ours else (b"", b"")
        return changed

    def _take(self, head: bytes, lines: bytes, differ: dict[int, bytes]) -> bool:
        """Takes the lines that differ; False if one of them is not what it should be."""
        try:
            told = json.loads(head + b"}") if head != self._head else self.snapshot.head
            fresh = {n: json.loads(line.removesuffix(b",")) for n, line in differ.items()}
        except (ValueError, RecursionError):
            return False
        if not all(isinstance(value, dict) for value in (told, *fresh.values())):
            return False
        tasks: list[dict[str, Any]] = self.snapshot.tasks or []
        if any(number >= len(tasks) for number in fresh):
            return False
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


def _differences(old: bytes, new: bytes) -> dict[int, bytes] | None:
    """The lines of ``new`` that differ, by their number; None if there are more or fewer.

    Of 1,000 tasks few have changed: what is before the first and behind the last of them is
    never split into lines.
    """
    shorter = min(len(old), len(new))
    same = _common(old, new, shorter)
    if same == len(old) == len(new):
        return {}
    begin = new.rfind(b"\n", 0, same) + 1
    left = shorter - same
    same_end = _common(old, new, left, from_end=True)
    end = new.find(b"\n", len(new) - same_end) if same_end else len(new)
    before = old[begin : len(old) - (len(new) - end)].split(b"\n")
    after = new[begin:end].split(b"\n")
    if len(before) != len(after):
        return None
    first = new.count(b"\n", 0, begin)
    return {
        first + n: line
        for n, (was, line) in enumerate(zip(before, after, strict=True))
        if was != line
    }


def _common(left: bytes, right: bytes, most: int, *, from_end: bool = False) -> int:
    """How many bytes they have in common, at most ``most``, from the beginning or from the end."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if from_end:
            is_same = (
                left[len(left) - middle : len(left) - low]
                == right[len(right) - middle : len(right) - low]
            )
        else:
            is_same = left[low:middle] == right[low:middle]
        low, high = (middle, high) if is_same else (low, middle - 1)
    return low
