"""Some columns, some types or the last rows of ``events_df``: the cost is that of what is asked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columns import Column
from cpr_nb.frames.events import EventRowReader, add_stream, n_rows_of, odd_event_rows
from cpr_nb.frames.jsonl import read_pieces
from cpr_nb.frames.streams import TaskSelection
from cpr_nb.frames.tables import EVENTS
from cpr_nb.model.errors import InputError
from cpr_nb.model.turns import TURN_TYPES
from cpr_nb.store.files import open_regular

# How much of a stream's end is read first; four times as much if that was too little.
_FIRST_BYTES = 1 << 18


class EventFilter(NamedTuple):
    """Which events a table has.

    Args:
        columns: The names of its columns, in order; None for all.
        types: The types of the events; None for all.
        tail: The most rows of each stream, its last ones; None for all.
    """

    columns: tuple[str, ...] | None = None
    types: frozenset[str] | None = None
    tail: int | None = None

    @property
    def table_columns(self) -> list[Column]:
        """The columns of the table."""
        by_name = {column.name: column for column in EVENTS}
        return [by_name[name] for name in self.columns or by_name]


def parse_event_filter(
    columns: str | Iterable[str] | None, types: str | Iterable[str] | None, tail: int | None
) -> EventFilter | None:
    """Checks what a caller asks for.

    Args:
        columns: The names of columns, or one name.
        types: Types of events, or one type.
        tail: The number of rows.

    Returns:
        The filter; None if everything is wanted.

    Raises:
        InputError: If a column does not exist, or ``tail`` is no positive number.

    Example:
        >>> parse_event_filter("text", ["assistant"], 3).columns
        ('text',)
    """
    if columns is None and types is None and tail is None:
        return None
    names = None if columns is None else tuple(dict.fromkeys(_texts(columns, "columns")))
    known = [column.name for column in EVENTS]
    for name in names or ():
        if name not in known:
            raise InputError(f"{name!r} is no column; there are {', '.join(known)}", "columns")
    if tail is not None and (isinstance(tail, bool) or not isinstance(tail, int) or tail < 1):
        raise InputError(f"must be a positive number of rows, not {tail!r}", "tail")
    return EventFilter(names, None if types is None else frozenset(_texts(types, "types")), tail)


def _texts(value: str | Iterable[str], where: str) -> list[str]:
    texts = [value] if isinstance(value, str) else list(value)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"must be a text or several, not {value!r}", where)
    return texts


def add_filtered_events(
    builder: TableBuilder, selection: TaskSelection, event_filter: EventFilter
) -> None:
    """Adds the rows of a session's events that are wanted."""
    for _, task in selection.tasks:
        ids = selection.ids(task)
        for attempt in selection.streams.get(ids["task_id"], ()):
            constants = {**ids, "attempt": attempt}
            if event_filter.tail is None:
                add_stream(selection, builder, constants, lambda: _FilteredReader(event_filter))
            else:
                _add_tail(selection, builder, constants, event_filter, event_filter.tail)


def _add_tail(
    selection: TaskSelection,
    builder: TableBuilder,
    constants: dict[str, Any],
    event_filter: EventFilter,
    n_wanted: int,
) -> None:
    """Adds the last rows of a stream, of which only the end is read."""
    task_id = constants["task_id"]
    path = selection.snapshot.paths.stream(task_id, constants["attempt"])
    try:
        reader, start = _read_end(path, event_filter, n_wanted)
    except OSError as error:
        selection.add_unreadable(task_id, path, error)
        return
    if start == 0:
        selection.add_odd_lines(task_id, path, reader)
    lists = {name: values[-n_wanted:] for name, values in reader.lists.items()}
    n_rows = len(lists["type"])
    if start > 0:  # what comes before was not counted
        lists["seq"] = lists["result_index"] = [None] * n_rows
    builder.add(lists, n_rows, constants, reader.n_bytes)


def _read_end(path: str, event_filter: EventFilter, n_wanted: int) -> tuple[_FilteredReader, int]:
    """Reads as much of a stream's end as has the rows, and says where it began."""
    n_bytes = _FIRST_BYTES
    with open_regular(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        while True:
            reader, start = _FilteredReader(event_filter), max(0, size_bytes - n_bytes)
            file.seek(start)
            if start:
                file.readline()  # most likely a part of one
            for piece in read_pieces(file):
                reader.feed(piece)
            if not start or len(reader.lists["type"]) >= n_wanted:
                return reader, start
            n_bytes *= 4


class _Discarded(list[Any]):
    """Takes the values of a column that nobody wants."""

    def append(self, value: object, /) -> None:
        """Does nothing."""


class _FilteredReader(EventRowReader):
    """The rows of a stream that are wanted."""

    def __init__(self, event_filter: EventFilter) -> None:
        self._filter = event_filter
        self._n_rows = 0
        super().__init__()

    def new_lists(self) -> dict[str, list[Any]]:
        """An empty list per column that is wanted."""
        wanted = self._filter.columns or self.COLUMNS
        lists = {name: [] if name in wanted else _Discarded() for name in self.COLUMNS}
        return {**lists, "type": [], "seq": []}

    def handle_events(self, events: list[Any]) -> None:
        """Handles events, in order."""
        types = self._filter.types
        if types is None:
            super().handle_events(events)
            self._number_rows()
            return
        for event in events:
            if event.type in types:
                super().handle_events([event])
                self._number_rows()
            else:
                self._n_rows += n_rows_of(event, self._tools)
                if event.type in TURN_TYPES:
                    self._turns.turn_of(event.type, event.subtype, event.result_index)

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one event that does not have the usual form."""
        if self._filter.types is None or event["type"] in self._filter.types:
            super().handle_odd_event(event)
            self._number_rows()
        else:
            self._turns.turn_of(event["type"], event.get("subtype"), event.get("result_index"))
            self._n_rows += sum(1 for _ in odd_event_rows(event, self._tools))

    def _number_rows(self) -> None:
        n_new = len(self.lists["type"]) - len(self.lists["seq"])
        self.lists["seq"] += range(self._n_rows + 1, self._n_rows + n_new + 1)
        self._n_rows += n_new
