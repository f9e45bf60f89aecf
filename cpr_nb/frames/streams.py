"""The streams of a session's tasks, event by event; what can't be read is kept as a problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Required, TypedDict

import msgspec

from cpr_nb.model.events import parse_line
from cpr_nb.store.layout import attempt_of
from cpr_nb.store.read import Snapshot, open_regular


class Problem(NamedTuple):
    """Something that a table lacks because it can't be read.

    Args:
        session_id: The session.
        task_id: The task; None if it is the session as a whole.
        path: The file or folder.
        problem: Why, for a person.
    """

    session_id: str
    task_id: str | None
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class View(NamedTuple):
    """Those tasks of a session that a table is about.

    Args:
        snapshot: The session.
        tasks: The number from 0 and the fields of each.
        streams: The attempts of each task that have a stream, in order.
        problems: Where to put what can't be read.
    """

    snapshot: Snapshot
    tasks: list[tuple[int, dict[str, Any]]]
    streams: dict[str, list[int]]
    problems: list[Problem]

    def ids(self, task: dict[str, Any]) -> dict[str, str]:
        """The columns that say which task it is."""
        return {
            "session_id": self.snapshot.session_id,
            "task_id": str(task.get("transaction_id", "")),
        }

    def attempts(self, task: dict[str, Any]) -> Iterator[tuple[int, Iterator[dict[str, Any]]]]:
        """Number and events of each attempt of a task."""
        task_id = str(task.get("transaction_id", ""))
        for attempt in self.streams.get(task_id, ()):
            path = self.snapshot.paths.stream(task_id, attempt)
            yield attempt, self._events(task_id, path)

    def _events(self, task_id: str, path: str) -> Iterator[dict[str, Any]]:
        unreadable = []
        try:
            with open_regular(path) as file:
                for number, line in enumerate(file, 1):
                    event = read_event(line)
                    if event is not None:
                        yield event
                    elif line.endswith(b"\n") and line.strip():
                        unreadable.append(number)
        except OSError as error:
            self._problem(task_id, path, error.strerror or str(error))
        if unreadable:
            more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
            self._problem(task_id, path, f"line {unreadable[0]}{more}: no event")

    def _problem(self, task_id: str, path: str, why: str) -> None:
        self.problems.append(Problem(self.snapshot.session_id, task_id, path, why))


class _Event(TypedDict, total=False):
    """What the tables want of an event; the rest is skipped unread."""

    type: Required[str]
    subtype: Any
    timestamp: Any
    message: Any
    model: Any
    parent_tool_use_id: Any
    tool_use_id: Any
    tool_name: Any
    tool_result_meta: Any
    content: Any
    result: Any
    error: Any
    permission_denials: Any
    usage: Any
    modelUsage: Any
    model_usage_since_last_result: Any
    total_cost_usd: Any


_DECODER = msgspec.json.Decoder(_Event)


def read_event(line: bytes) -> dict[str, Any] | None:
    """Reads one line of a stream as `parse_line` does, but only what the tables want of it.

    Example:
        >>> read_event(b'{"type": "user", "tool_use_result": {"stdout": "much"}}')
        {'type': 'user'}
    """
    try:
        return dict(_DECODER.decode(line))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        event = parse_line(line)  # what msgspec is stricter about: half a surrogate pair, NaN
    if event is None:
        return None
    return {name: value for name, value in event.items() if name in _Event.__annotations__}


def streams_of(root: str) -> dict[str, list[int]]:
    """The attempts that have a stream in a session's folder: task → their numbers, in order."""
    found: dict[str, list[int]] = {}
    try:
        names = [entry.name for entry in Path(root).iterdir()]
    except OSError:
        return found
    for task_id, attempt in filter(None, map(attempt_of, names)):
        found.setdefault(task_id, []).append(attempt)
    return {task_id: sorted(set(attempts)) for task_id, attempts in found.items()}
