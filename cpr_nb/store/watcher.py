"""Reads a session again and again: only what has changed is parsed."""

from __future__ import annotations

import json
import os
import stat

from cpr_nb.model import states
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import TASKS_MARK, Snapshot, read_session, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_END = b"\n]}\n"
_STEP_BYTES = 16_384  # compared at once: more would not fit into the CPU's cache


class Watcher:
    """Keeps the snapshot of one session up to date.

    status.json has one line per task: each poll compares the lines and parses only those that
    differ. A file of another form (that of claude-parallel-runner.pl) is read as a whole.

    Args:
        root: The session's folder.

    Example:
        >>> watcher = Watcher("/no/such/session-1")
        >>> watcher.poll(), watcher.snapshot.state
        (set(), 'unreadable')
    """

    def __init__(self, root: str) -> None:
        self.paths = SessionPaths(root)
        self.snapshot = Snapshot(self.paths, {}, [], states.UNREADABLE)
        self._seen: tuple[int, int, int] | None = None
        self._head = b""
        self._data = b""
        self._begin = 0  # where the tasks begin in it

    def poll(self) -> set[int]:
        """Brings `snapshot` up to date.

        Returns:
            The indices of the tasks that have changed; all of them on the first poll.
        """
        try:
            status = os.stat(self.paths.status)
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            seen = None
        if seen is None or seen != self._seen:
            self._seen = seen
            return self._read()
        if self.snapshot.state not in states.ENDED_STATES:
            state = state_of(self.paths, self.snapshot.head)
            was, self.snapshot.state = self.snapshot.state, state
            if state == states.INTERRUPTED and state != was:
                return self._read()  # its runner may have written the end since
        return set()

    def _read(self) -> set[int]:
        data = _bytes_of(self.paths.status)
        mark = data.find(TASKS_MARK)
        begin = mark + len(TASKS_MARK)
        if mark >= 0 and self._data and data.endswith(_END):
            differ = _differences(self._data, self._begin, data, begin)
            if differ is not None and self._apply(data[:mark], differ):
                self._data, self._begin = data, begin
                return set(differ)
        changed = self._read_whole()
        is_ours = mark >= 0 and data.count(b"\n", begin) == len(self.snapshot.tasks or ()) + 1
        self._head = data[:mark] if is_ours else b""
        self._data, self._begin = (data, begin) if is_ours else (b"", 0)
        return changed

    def _apply(self, head: bytes, differ: dict[int, bytes]) -> bool:
        """Updates the snapshot from the lines that differ; False if that can't be done."""
        parsed = self._parse(head, differ)
        if parsed is None:
            return False
        fields, fresh = parsed
        tasks: list[dict[str, Any]] = self.snapshot.tasks or []
        if any(number >= len(tasks) for number in fresh):
            return False
        for number, task in fresh.items():
            tasks[number] = task
        state = self.snapshot.state
        # Whoever has just written lives, if it did before; the next poll asks again.
        if not state == fields.get("state") == self.snapshot.head.get("state") == states.RUNNING:
            state = state_of(self.paths, fields)
        if state == states.INTERRUPTED and self.snapshot.state != state:
            return False  # read it again, as `read_session` does
        self.snapshot = Snapshot(self.paths, fields, tasks, state)
        self._head = head
        return True

    def _parse(
        self, head: bytes, differ: dict[int, bytes]
    ) -> tuple[dict[str, Any], dict[int, dict[str, Any]]] | None:
        """The head's fields, and the tasks by number; None if one of them is not an object."""
        try:
            fields = json.loads(head + b"}") if head != self._head else self.snapshot.head
            fresh = {n: json.loads(line.removesuffix(b",")) for n, line in differ.items()}
        except (ValueError, RecursionError):
            return None
        if all(isinstance(value, dict) for value in (fields, *fresh.values())):
            return fields, fresh
        return None

    def _read_whole(self) -> set[int]:
        before = self.snapshot
        snapshot = read_session(self.paths.root)
        if snapshot.state == states.UNREADABLE and before.is_legacy and self._seen:
            return set()  # a legacy session is written in place: keep the last good one
        self.snapshot = snapshot
        old, new = before.tasks or [], snapshot.tasks or []
        return {n for n, task in enumerate(new) if n >= len(old) or task != old[n]}


def _bytes_of(path: str) -> bytes:
    """A file that is always replaced as a whole, in one read; empty if it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # does not block on a named pipe
    except OSError:
        return b""
    try:
        status = os.fstat(fd)
        return os.read(fd, status.st_size) if stat.S_ISREG(status.st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def _differences(old: bytes, old_at: int, new: bytes, new_at: int) -> dict[int, bytes] | None:
    """The lines of ``new`` that differ, by their number; None if their number has changed.

    Of 1,000 tasks few have changed: the bytes before the first and after the last changed line are
    neither copied nor split into lines.

    Args:
        old: The file as it was.
        old_at: Where its lines begin.
        new: The file as it is.
        new_at: Where its lines begin.
    """
    shorter = min(len(old) - old_at, len(new) - new_at)
    same = _common(old, old_at, new, new_at, shorter)
    if same == len(old) - old_at == len(new) - new_at:
        return {}
    begin = max(new.rfind(b"\n", new_at, new_at + same) + 1, new_at)
    same_end = _common_end(old, new, shorter - same)
    end = new.find(b"\n", len(new) - same_end) if same_end else len(new)
    before = old[begin - new_at + old_at : len(old) - (len(new) - end)].split(b"\n")
    after = new[begin:end].split(b"\n")
    if len(before) != len(after):
        return None
    first = new.count(b"\n", new_at, begin)
    both = enumerate(zip(before, after, strict=True), first)
    return {number: line for number, (was, line) in both if was != line}


def _common(old: bytes, old_at: int, new: bytes, new_at: int, most: int) -> int:
    """The number of bytes that they have in common from these offsets on."""
    low, step = 0, _STEP_BYTES
    while low < most and step:
        high = min(most, low + step)
        if old[old_at + low : old_at + high] == new[new_at + low : new_at + high]:
            low = high
        else:
            step = (high - low) // 2
    return low


def _common_end(old: bytes, new: bytes, most: int) -> int:
    """The number of bytes that they have in common at their ends."""
    low, step = 0, _STEP_BYTES
    while low < most and step:
        high = min(most, low + step)
        if old[len(old) - high : len(old) - low] == new[len(new) - high : len(new) - low]:
            low = high
        else:
            step = (high - low) // 2
    return low
