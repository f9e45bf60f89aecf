"""The streams of a session's tasks, event by event; what can't be read becomes a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Required, TypedDict, TypeVar, cast

import msgspec

from cpr_nb.frames.jsonl import JsonlReader, read_pieces
from cpr_nb.frames.stream_cache import StreamCache
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import Snapshot

R = TypeVar("R", bound=JsonlReader)


class Problem(NamedTuple):
    """Something that is missing from a table because it can't be read.

    Args:
        session_id: The session.
        task_id: The task; None if it is the session as a whole.
        path: The file or folder.
        problem: Why, for the user.
        is_minor: Whether all else can be read, so that it is no error: a line that is no event,
            or a file of a legacy session.
    """

    session_id: str
    task_id: str | None
    path: str
    problem: str
    is_minor: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class TaskSelection(NamedTuple):
    """The tasks of a session that a table is about.

    Args:
        snapshot: The session.
        tasks: The number (from 0) and the fields of each.
        streams: Task → the numbers of its attempts that have a stream, in order.
        problems: Gets what can't be read.
        stream_cache: Has what was read of the streams before; its lock is held. None to read
            each stream from its start.
    """

    snapshot: Snapshot
    tasks: list[tuple[int, dict[str, Any]]]
    streams: dict[str, list[int]]
    problems: list[Problem]
    stream_cache: StreamCache | None = None

    def ids(self, task: dict[str, Any]) -> dict[str, str]:
        """The columns that identify a task."""
        return {
            "session_id": self.snapshot.session_id,
            "task_id": str(task.get("transaction_id", "")),
        }

    def attempts(self, task: dict[str, Any], reader_type: type[R]) -> Iterator[tuple[int, R]]:
        """The number of each attempt of a task, and the reader of its stream."""
        task_id = str(task.get("transaction_id", ""))
        for attempt in self.streams.get(task_id, ()):
            reader = self.read(task_id, attempt, reader_type)
            if reader is not None:
                yield attempt, reader

    def read(
        self,
        task_id: str,
        attempt: int,
        make_reader: Callable[[], R],
        on_piece: Callable[[R], object] = id,
    ) -> R | None:
        """Reads a stream; what can't be read becomes a problem.

        Args:
            task_id: The task.
            attempt: The attempt.
            make_reader: Creates what reads it; its type where the selection has a cache.
            on_piece: Called with the reader after every piece.

        Returns:
            The reader; None if the stream can't be read.
        """
        path = self.snapshot.paths.stream(task_id, attempt)
        try:
            if self.stream_cache is not None:
                reader = self.stream_cache.read(path, cast(type[R], make_reader))
                on_piece(reader)
            else:
                reader = make_reader()
                with open_regular(path) as file:
                    for piece in read_pieces(file):
                        reader.feed(piece)
                        on_piece(reader)
        except OSError as error:
            self.add_unreadable(task_id, path, error)
            return None
        self.add_odd_lines(task_id, path, reader)
        return reader

    def add_unreadable(self, task_id: str, path: str, error: OSError) -> None:
        """Adds the problem that a stream can't be read."""
        reason = error.strerror or str(error)
        self._add_problem(task_id, path, reason, is_minor=self.snapshot.is_legacy)

    def add_odd_lines(self, task_id: str, path: str, reader: JsonlReader) -> None:
        """Adds the problem that lines of a stream are no events, if there are such lines."""
        if reader.unreadable:
            first, n_more = reader.unreadable[0], len(reader.unreadable) - 1
            more = f" and {n_more} more" if n_more else ""
            self._add_problem(task_id, path, f"line {first}{more}: no event", is_minor=True)

    def _add_problem(self, task_id: str, path: str, reason: str, *, is_minor: bool) -> None:
        session_id = self.snapshot.session_id
        self.problems.append(Problem(session_id, task_id, path, reason, is_minor))


class _Event(TypedDict, total=False):
    """The fields of an event that tables need; all others are skipped."""

    type: Required[str]
    subtype: Any
    timestamp: Any
    message: Any
    model: Any
    parent_tool_use_id: Any
    tool_use_id: Any
    tool_name: Any
    decision_reason_type: Any
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
    """Reads a stream whose events are objects; `handle_event` gets one after the other."""

    decoder = msgspec.json.Decoder(_Event)

    def handle_events(self, events: list[Any]) -> None:
        """Handles events, in order."""
        for event in events:
            self.handle_event(event)

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one event."""
        self.handle_event(event)

    def handle_event(self, event: dict[str, Any]) -> None:
        """Handles one event."""
        raise NotImplementedError
