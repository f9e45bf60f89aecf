"""The rows of one session's tasks, for every table of tasks."""

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
    """Whether a table is made of streams."""
    return full or name != "tasks_df"


def source_files(name: str, view: TaskSelection, *, full: bool) -> list[str]:
    """The files of which the rows are made, beside status.json: names in the session's folder.

    The folder itself, ``.``, is one of them where it matters which streams there are.
    """
    root, paths = len(view.snapshot.paths.root) + 1, view.snapshot.paths
    found = ["."] if needs_streams(name, full=full) else []
    if name == "tasks_df":
        found.append(paths.session[root:])
    for _, task in view.tasks:
        task_id = str(task.get("transaction_id", ""))
        if name == "tasks_df":
            found.append(paths.answer(task_id)[root:])
        found += [paths.stream(task_id, n)[root:] for n in view.streams.get(task_id, ())]
    return found


def add_session(builder: TableBuilder, name: str, view: TaskSelection, *, full: bool) -> None:
    """Adds the rows of a session's tasks.

    Args:
        builder: The table.
        name: Which one: a key of `TABLES`.
        view: The tasks.
        full: Whether all columns are wanted.
    """
    with view.growing.lock if view.growing is not None else nullcontext():
        if name == "tasks_df":
            builder.add_rows(_task_rows(view, full=full))
        elif name == "events_df":
            add_events(view, builder)
        else:
            builder.add_rows(_ROWS[name](view))


def _task_rows(view: TaskSelection, *, full: bool) -> Iterator[dict[str, Any]]:
    asked = read_spec(view.snapshot.paths, loads).get("tasks")
    asked = asked if isinstance(asked, list) else []
    for index, task in view.tasks:
        mine = asked[index] if index < len(asked) else None
        prompt = mine.get("prompt") if isinstance(mine, dict) else None
        row = task_row(view.snapshot, task, prompt, streamed=False, full=full)
        yield {**row, **_stream_columns(view, task)} if full else row


def _stream_columns(view: TaskSelection, task: dict[str, Any]) -> dict[str, Any]:
    """What only the stream of a task's last attempt tells."""
    task_id, attempt = str(task.get("transaction_id", "")), task.get("attempts")
    if not isinstance(attempt, int) or attempt not in view.streams.get(task_id, ()):
        return {}
    quiet = view._replace(problems=[])  # the rest of the row is as good without
    reading = quiet.read(task_id, attempt, TaskReader)
    return reading.told() if reading is not None else {}


class _Block(msgspec.Struct, gc=False):
    type: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    message: _Message | str | None = None
    structured_output: Any = None


class TaskReader(JsonlReader):
    """What `tasks_df` takes from a stream."""

    decoder = msgspec.json.Decoder(_Event)

    def __init__(self) -> None:
        super().__init__()
        self._n_tool_calls = 0
        self._structured: Any = None

    def take(self, events: list[_Event]) -> None:
        """Takes events, in order."""
        for event in events:
            if event.type == "result":
                self._structured = event.structured_output
            elif event.type == "assistant" and isinstance(event.message, _Message):
                for block in event.message.content or ():
                    self._n_tool_calls += isinstance(block, _Block) and block.type == "tool_use"

    def take_odd(self, event: dict[str, Any]) -> None:
        """Takes one event that has not the usual form."""
        if event["type"] == "result":
            self._structured = event.get("structured_output")
        elif event["type"] == "assistant":
            blocks = content_blocks(event)
            self._n_tool_calls += sum(block.get("type") == "tool_use" for block in blocks)

    def told(self) -> dict[str, Any]:
        """The columns."""
        return {
            "n_tool_calls": self._n_tool_calls,
            "structured": self._structured,
            "output_bytes": self.n_bytes + self.n_torn_bytes,
        }
