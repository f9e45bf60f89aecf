"""Follows another session of the same results directory: which of its tasks have ended, and how."""

from __future__ import annotations

import os

from cpr_nb.model import states
from cpr_nb.model.quick_json import loads
from cpr_nb.store.files import open_regular, read_json
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What is kept of the end of a task.
_KEPT = ("outcome", "reason", "attempts")
#: So much of a journal is read at once, so that our own tasks need not wait for it.
_MOST_BYTES = 1 << 20


class NeighbourSession:
    """A session that another runner works on; it is only read.

    Args:
        session_id: Its id. Its folder lies beside that of our own session, which is the working
            folder of the runner.
        beside: The folder that both lie in, seen from the working folder.

    Raises:
        ValueError: If the id could lead elsewhere.

    Attributes:
        ends: Task id → what is known of its end.
        has_ended: Whether the session as a whole has ended.
    """

    def __init__(self, session_id: str, beside: str = "..") -> None:
        if "/" in session_id:
            raise ValueError(f"{session_id!r} is no id of a session")
        self.paths = SessionPaths(f"{beside}/{SESSION_PREFIX}{session_id}")
        self.ends: dict[str, dict[str, Any]] = {}
        self.has_ended = False
        self._inode = self._offset = 0
        self._status_time_ns = 0

    @property
    def is_gone(self) -> bool:
        """Whether its folder is not there."""
        return not os.path.isdir(self.paths.root)

    def poll(self) -> list[str]:
        """Reads what is new.

        Returns:
            The ids of the tasks that have ended since.
        """
        try:
            lines = self._new_lines()
        except OSError:  # somebody removed its journal, or it has no runner yet
            return self._read_status()
        ended: list[str] = []
        for data in lines:
            try:
                line = loads(data)
            except (ValueError, RecursionError):
                continue  # a runner was killed while it wrote it
            if isinstance(line, dict):
                self._feed(line, ended)
        return ended

    def _new_lines(self) -> list[bytes]:
        with open_regular(self.paths.journal) as file:
            stat = os.fstat(file.fileno())
            if stat.st_ino != self._inode or stat.st_size < self._offset:
                self._inode, self._offset = stat.st_ino, 0  # it is another file
            if stat.st_size == self._offset:
                return []
            file.seek(self._offset)
            data = file.read(_MOST_BYTES)
            if b"\n" not in data and len(data) == _MOST_BYTES:
                data += file.readline()
        complete, newline, _ = data.rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return complete.split(b"\n") if newline else []

    def _feed(self, line: dict[str, Any], ended: list[str]) -> None:
        event, task_id = line.get("event"), line.get("task_id")
        if event == "ended" and isinstance(task_id, str):
            self._add(task_id, line, ended)
        elif event == "session_ended":
            self.has_ended = True
        elif event == "reopened":
            self.has_ended = False
            skipped = [k for k, end in self.ends.items() if end["outcome"] == states.SKIPPED]
            for one in skipped:
                del self.ends[one]
            ended[:] = [one for one in ended if one in self.ends]  # it may be in the same batch

    def _read_status(self) -> list[str]:
        try:
            time_ns = os.stat(self.paths.status).st_mtime_ns
        except OSError:
            return []
        if time_ns == self._status_time_ns:
            return []
        status = read_json(self.paths.status)
        ended: list[str] = []
        tasks = status.get("tasks")
        for task in tasks if isinstance(tasks, list) else ():
            if isinstance(task, dict) and task.get("state") == states.ENDED:
                self._add(str(task.get("transaction_id", "")), task, ended)
        self.has_ended = status.get("overall_status") in states.ENDED_STATES
        self._status_time_ns = time_ns
        return ended

    def _add(self, task_id: str, fields: dict[str, Any], ended: list[str]) -> None:
        if task_id not in self.ends:  # else its work was saved once more
            self.ends[task_id] = {name: fields.get(name) for name in _KEPT}
            ended.append(task_id)
