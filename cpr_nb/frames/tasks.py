"""Fills each table of tasks with the rows of one session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import msgspec

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.calls import call_rows, denial_rows
from cpr_nb.frames.columns import Column
from cpr_nb.frames.events import add_events
from cpr_nb.frames.jsonl import JsonlReader
from cpr_nb.frames.session_rows import loads
from cpr_nb.frames.streams import TaskSelection
from cpr_nb.frames.tables import TABLES
from cpr_nb.frames.usage import usage_rows
from cpr_nb.model.events import content_blocks
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.rows import task_row

_ROWS: dict[str, Callable[[TaskSelection], Iterator[dict[str, Any]]]] = {
    "tool_calls_df": call_rows,
    "denials_df": denial_rows,
    "usage_df": usage_rows,
}


def table_columns(name: str, *, full: bool) -> list[Column]:
    """The columns of a table."""
    return [column for column in TABLES[name].columns if full or column.default]


def needs_streams(name: str, *, full: bool) -> bool:
    """Whether a table is made from streams."""
    return full or name != "tasks_df"


def source_files(name: str, selection: TaskSelection, *, full: bool) -> list[str]:
    """The files that the rows are made from, beside status.json: names in the session's folder.

    The folder itself, ``.``, is one of them if it matters which streams exist.
    """
    paths = selection.snapshot.paths
    prefix = len(paths.root) + 1
    names = ["."] if needs_streams(name, full=full) else []
    if name == "tasks_df":
        names.append(paths.session[prefix:])
    for _, task in selection.tasks:
        task_id = str(task.get("transaction_id", ""))
        if name == "tasks_df":
            names.append(paths.answer(task_id)[prefix:])
        attempts = selection.streams.get(task_id, ())
        names += [paths.stream(task_id, attempt)[prefix:] for attempt in attempts]
    return names


def add_session(builder: TableBuilder, selection: TaskSelection, name: str, *, full: bool) -> None:
    """Adds the rows of a session's tasks.

    Args:
        builder: Gets the rows.
        selection: The tasks.
        name: Which table: a key of `TABLES`.
        full: Whether to add all columns.
    """
    cache = selection.stream_cache
    with cache.lock if cache is not None else nullcontext():
        if name == "tasks_df":
            builder.add_rows(_task_rows(selection, full=full))
        elif name == "events_df":
            add_events(selection, builder)
        else:
            builder.add_rows(_ROWS[name](selection))


def _task_rows(selection: TaskSelection, *, full: bool) -> Iterator[dict[str, Any]]:
    task_specs = read_spec(selection.snapshot.paths, loads).get("tasks")
    task_specs = task_specs if isinstance(task_specs, list) else []
    for index, task in selection.tasks:
        task_spec = task_specs[index] if index < len(task_specs) else None
        prompt = task_spec.get("prompt") if isinstance(task_spec, dict) else None
        row = task_row(selection.snapshot, task, prompt, streamed=False, full=full)
        yield {**row, **_stream_columns(selection, task)} if full else row


def _stream_columns(selection: TaskSelection, task: dict[str, Any]) -> dict[str, Any]:
    """The columns that only the stream of a task's last attempt has."""
    task_id, attempt = str(task.get("transaction_id", "")), task.get("attempts")
    if not isinstance(attempt, int) or attempt not in selection.streams.get(task_id, ()):
        return {}
    without_problems = selection._replace(problems=[])  # the rest of the row is valid anyway
    reader = without_problems.read(task_id, attempt, TaskReader)
    return reader.columns() if reader is not None else {}


class _Block(msgspec.Struct, gc=False):
    type: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    message: _Message | str | None = None
    structured_output: Any = None


class TaskReader(JsonlReader):
    """Reads the columns of `tasks_df` that come from a stream."""

    decoder = msgspec.json.Decoder(_Event)

    def __init__(self) -> None:
        super().__init__()
        self._n_tool_calls = 0
        self._structured: Any = None

    def handle_events(self, events: list[_Event]) -> None:
        """Handles events, in order."""
        for event in events:
            if event.type == "result":
                self._structured = event.structured_output
            elif event.type == "assistant" and isinstance(event.message, _Message):
                for block in event.message.content or ():
                    self._n_tool_calls += isinstance(block, _Block) and block.type == "tool_use"

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one event that does not have the usual form."""
        if event["type"] == "result":
            self._structured = event.get("structured_output")
        elif event["type"] == "assistant":
            blocks = content_blocks(event)
            self._n_tool_calls += sum(block.get("type") == "tool_use" for block in blocks)

    def columns(self) -> dict[str, Any]:
        """The columns, with their values."""
        return {
            "n_tool_calls": self._n_tool_calls,
            "structured": self._structured,
            "output_bytes": self.n_bytes + self.n_torn_bytes,
        }
