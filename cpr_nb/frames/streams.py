"""The streams of a session's tasks, event by event; what can't be read is kept as a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Required, TypedDict, TypeVar

import msgspec

from cpr_nb.frames.jsonl import JsonlReader, read_pieces
from cpr_nb.frames.stream_cache import StreamCache
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import attempt_of
from cpr_nb.store.read import Snapshot

R = TypeVar("R", bound=JsonlReader)


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


class TaskSelection(NamedTuple):
    """Those tasks of a session that a table is about.

    Args:
        snapshot: The session.
        tasks: The number from 0 and the fields of each.
        streams: The attempts of each task that have a stream, in order.
        problems: Where to put what can't be read.
        growing: What was read of streams before; its lock is held. None to keep nothing.
    """

    snapshot: Snapshot
    tasks: list[tuple[int, dict[str, Any]]]
    streams: dict[str, list[int]]
    problems: list[Problem]
    growing: StreamCache | None = None

    def ids(self, task: dict[str, Any]) -> dict[str, str]:
        """The columns that say which task it is."""
        return {
            "session_id": self.snapshot.session_id,
            "task_id": str(task.get("transaction_id", "")),
        }

    def attempts(self, task: dict[str, Any], make: type[R]) -> Iterator[tuple[int, R]]:
        """Number of each attempt of a task, and what was read of its stream."""
        task_id = str(task.get("transaction_id", ""))
        for attempt in self.streams.get(task_id, ()):
            reading = self.read(task_id, attempt, make)
            if reading is not None:
                yield attempt, reading

    def read(
        self, task_id: str, attempt: int, make: type[R], each: Callable[[R], object] = id
    ) -> R | None:
        """Reads a stream; what can't be read becomes a problem.

        Args:
            task_id: The task.
            attempt: The attempt.
            make: What reads it.
            each: Gets it after every piece.

        Returns:
            What was read; None if the stream can't be read.
        """
        path = self.snapshot.paths.stream(task_id, attempt)
        try:
            if self.growing is not None:
                reading = self.growing.read(path, make)
                each(reading)
            else:
                reading = make()
                with open_regular(path) as file:
                    for piece in read_pieces(file):
                        reading.feed(piece)
                        each(reading)
        except OSError as error:
            self._problem(task_id, path, error.strerror or str(error))
            return None
        if reading.unreadable:
            first, n_more = reading.unreadable[0], len(reading.unreadable) - 1
            more = f" and {n_more} more" if n_more else ""
            self._problem(task_id, path, f"line {first}{more}: no event")
        return reading

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


class ObjectReader(JsonlReader):
    """What one stream says, from its events as objects: `feed_event` gets one after the other."""

    decoder = msgspec.json.Decoder(_Event)

    def take(self, events: list[Any]) -> None:
        """Takes events, in order."""
        for event in events:
            self.feed_event(event)

    def take_odd(self, event: dict[str, Any]) -> None:
        """Takes one event."""
        self.feed_event(event)

    def feed_event(self, event: dict[str, Any]) -> None:
        """Takes one event."""
        raise NotImplementedError


def list_streams(root: str) -> dict[str, list[int]]:
    """The attempts that have a stream in a session's folder: task → their numbers, in order."""
    found: dict[str, list[int]] = {}
    try:
        names = [entry.name for entry in Path(root).iterdir()]
    except OSError:
        return found
    for task_id, attempt in filter(None, map(attempt_of, names)):
        found.setdefault(task_id, []).append(attempt)
    return {task_id: sorted(set(attempts)) for task_id, attempts in found.items()}
