"""Rows of what agents did, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.jsonl import JsonlReader
from cpr_nb.frames.streams import TaskSelection
from cpr_nb.model.events import content_blocks

# Where an event without content blocks says something in words, in this order.
_TEXT_FIELDS = ("result", "content", "message", "error")


class _Block(msgspec.Struct, gc=False):
    """A content block of the usual form; see `_block`."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    content: str | list[Any] | None = None


class _Message(msgspec.Struct, gc=False):
    role: str | None = None
    model: str | msgspec.UnsetType | None = UNSET
    content: str | list[_Block] | None = None


class _Event(msgspec.Struct, gc=False):
    """An event of the usual form: what `EventReading` wants of it, and nothing else."""

    type: str
    subtype: str | None = None
    timestamp: str | None = None
    message: _Message | str | None = None
    model: str | None = None
    tool_name: str | None = None
    result: Any = None
    content: Any = None
    error: Any = None


def add_events(view: TaskSelection, builder: TableBuilder) -> None:
    """Adds the rows of a session's events."""
    for _, task in view.tasks:
        ids = view.ids(task)
        for attempt in view.streams.get(ids["task_id"], ()):
            _add_stream(view, builder, {**ids, "attempt": attempt})


def _add_stream(view: TaskSelection, builder: TableBuilder, same: dict[str, Any]) -> None:
    n_rows = n_bytes = 0

    def add(reading: EventRowReader) -> None:
        nonlocal n_rows, n_bytes
        lists = reading.drain() if view.growing is None else reading.lists
        n_new = len(lists["type"])
        seq = list(range(n_rows + 1, n_rows + n_new + 1))
        builder.add({**lists, "seq": seq}, n_new, same, reading.n_bytes - n_bytes)
        n_rows, n_bytes = n_rows + n_new, reading.n_bytes

    view.read(same["task_id"], same["attempt"], EventRowReader, add)


_NONE: list[_Block] = []
_NO_INPUT = ("", "null")


class EventRowReader(JsonlReader):
    """The rows of a stream: one a content block, or an event without any."""

    COLUMNS = ("at", "type", "subtype", "role", "text", "model", "tool")

    decoder = msgspec.json.Decoder(_Event)

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, list[Any]] = {name: [] for name in self.COLUMNS}
        self._tools: dict[Any, Any] = {}  # id of a call → its tool

    def take(self, events: list[_Event]) -> None:
        """Takes events, in order."""
        add = [self.lists[name].append for name in self.COLUMNS]
        add_at, add_type, add_subtype, add_role, add_text, add_model, add_tool = add
        tools = self._tools
        for event in events:
            message, blocks, role, model = event.message, _NONE, None, event.model
            if isinstance(message, _Message):
                role = message.role
                if message.model is not UNSET:
                    model = message.model
                if isinstance(message.content, str):
                    blocks = [_Block("text", message.content)]
                elif message.content is not None:
                    blocks = message.content
            for block in blocks:
                kind, tool = block.type, None
                if kind == "tool_use":
                    tool = tools[block.id] = block.name
                    text = str(block.input, "utf-8", "replace")
                    add_text(None if text in _NO_INPUT else text)
                elif kind == "tool_result":
                    tool, content = tools.get(block.tool_use_id), block.content
                    add_text(content if isinstance(content, str) else output_text(content))
                else:
                    add_text(block.thinking if kind == "thinking" else block.text)
                add_at(event.timestamp)
                add_type(event.type)
                add_subtype(kind)
                add_role(role)
                add_model(model)
                add_tool(tool)
            if not blocks:
                add_at(event.timestamp)
                add_type(event.type)
                add_subtype(event.subtype)
                add_role(role)
                add_text(_first_text((event.result, event.content, message, event.error)))
                add_model(model)
                add_tool(event.tool_name)

    def take_odd(self, event: dict[str, Any]) -> None:
        """Takes one event that has not the usual form."""
        for row in _odd_event_rows(event, self._tools):
            for name, values in self.lists.items():
                values.append(row.get(name))

    def drain(self) -> dict[str, list[Any]]:
        """The rows since the last call."""
        drained = self.lists
        self.lists = {name: [] for name in self.COLUMNS}
        return drained


def _first_text(said: Iterable[object]) -> str | None:
    return next((words for words in said if isinstance(words, str)), None)


def _odd_event_rows(event: dict[str, Any], tools: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """The rows of any event, whatever stands in it."""
    message = event.get("message")
    message = message if isinstance(message, dict) else {}
    common = {
        "type": event["type"],
        "at": event.get("timestamp"),
        "role": message.get("role"),
        "model": message.get("model", event.get("model")),
    }
    blocks = content_blocks(event)
    for block in blocks:
        yield {**common, **_odd_block_fields(block, tools)}
    if not blocks:
        text = _first_text(event.get(name) for name in _TEXT_FIELDS)
        yield {
            **common,
            "subtype": event.get("subtype"),
            "text": text,
            "tool": event.get("tool_name"),
        }


def _odd_block_fields(block: dict[str, Any], tools: dict[Any, Any]) -> dict[str, Any]:
    kind = block.get("type")
    row: dict[str, Any] = {"subtype": kind}
    if kind == "tool_use":
        row["tool"] = tools[_key(block.get("id"))] = block.get("name")
        row["text"] = as_json(block.get("input"))
    elif kind == "tool_result":
        row["tool"] = tools.get(_key(block.get("tool_use_id")))
        row["text"] = output_text(block.get("content"))
    else:
        row["text"] = block.get("thinking") if kind == "thinking" else block.get("text")
    return row


def _key(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


# -- texts ----------------------------------------------------------------------------------


def as_json(value: object) -> str | None:
    """A value as JSON; None if there is none.

    Example:
        >>> as_json({"file_path": "a.py"})
        '{"file_path":"a.py"}'
    """
    if value is None:
        return None
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, OverflowError, msgspec.MsgspecError):  # half a surrogate pair
        return json.dumps(value)
    except RecursionError:
        return None


def output_text(content: object) -> str | None:
    """What a tool answered, as text; what is no text is named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    blocks = [block for block in content if isinstance(block, dict)]
    return "\n".join(
        block["text"] if isinstance(block.get("text"), str) else f"[{block.get('type')}]"
        for block in blocks
    )
