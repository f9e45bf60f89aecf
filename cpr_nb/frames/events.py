"""Rows of what agents did, event by event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.jsonl import JsonlReader
from cpr_nb.frames.streams import TaskSelection
from cpr_nb.model.events import content_blocks
from cpr_nb.model.turns import TURN_TYPES, TurnCounter

# The fields of an event without content blocks that may hold a text, in this order.
_TEXT_FIELDS = ("result", "content", "message", "error")


class _Block(msgspec.Struct, gc=False):
    """A content block of the usual form; see `_odd_block_fields`."""

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


class UsualEvent(msgspec.Struct, gc=False):
    """An event of the usual form: the fields that `EventRowReader` needs, and no others."""

    type: str
    subtype: str | None = None
    timestamp: str | None = None
    message: _Message | str | None = None
    model: str | None = None
    tool_name: str | None = None
    parent_tool_use_id: str | None = None
    result_index: Any = None
    result: Any = None
    content: Any = None
    error: Any = None


def add_events(selection: TaskSelection, builder: TableBuilder) -> None:
    """Adds the rows of a session's events."""
    for _, task in selection.tasks:
        ids = selection.ids(task)
        for attempt in selection.streams.get(ids["task_id"], ()):
            add_stream(selection, builder, {**ids, "attempt": attempt}, EventRowReader)


def add_stream(
    selection: TaskSelection,
    builder: TableBuilder,
    constants: dict[str, Any],
    make_reader: Callable[[], EventRowReader],
) -> None:
    """Adds the rows of one stream, piece by piece.

    Args:
        selection: Reads it.
        builder: Gets the rows.
        constants: The values of the columns that all rows share: the attempt's.
        make_reader: Creates what reads it.
    """
    n_rows = n_bytes = 0
    is_cached = selection.stream_cache is not None

    def add(reader: EventRowReader) -> None:
        nonlocal n_rows, n_bytes
        lists = reader.lists if is_cached else reader.drain()
        n_new = len(lists["type"])
        seq = list(range(n_rows + 1, n_rows + n_new + 1))
        builder.add({"seq": seq, **lists}, n_new, constants, reader.n_bytes - n_bytes)
        n_rows, n_bytes = n_rows + n_new, reader.n_bytes

    selection.read(constants["task_id"], constants["attempt"], make_reader, add)


_NO_BLOCKS: list[_Block] = []
_NO_INPUT = ("", "null")


class EventRowReader(JsonlReader):
    """The rows of a stream: one per content block, or per event without any."""

    COLUMNS = (
        *("at", "type", "subtype", "role", "text", "model", "tool"),
        *("result_index", "parent_tool_use_id"),
    )

    decoder = msgspec.json.Decoder(UsualEvent)

    def __init__(self) -> None:
        super().__init__()
        self.lists = self.new_lists()
        self._tools: dict[Any, Any] = {}  # id of a call → its tool
        self._turns = TurnCounter()

    def new_lists(self) -> dict[str, list[Any]]:
        """An empty list per column."""
        return {name: [] for name in self.COLUMNS}

    def handle_events(self, events: list[UsualEvent]) -> None:
        """Handles events, in order."""
        # One long loop: this is the only code that runs once per event of a big stream.
        add = [self.lists[name].append for name in self.COLUMNS]
        add_at, add_type, add_subtype, add_role, add_text, add_model, add_tool = add[:7]
        add_turn, add_parent = add[7:]
        tools, turns = self._tools, self._turns
        for event in events:
            if event.type in TURN_TYPES:
                turn = turns.turn_of(event.type, event.subtype, event.result_index)
            else:
                turn = turns.turn
            message, blocks, role, model = event.message, _NO_BLOCKS, None, event.model
            if isinstance(message, _Message):
                role = message.role
                if message.model is not UNSET:
                    model = message.model
                if isinstance(message.content, str):
                    blocks = [_Block("text", message.content)]
                elif message.content is not None:
                    blocks = message.content
            for block in blocks:
                block_type, tool = block.type, None
                if block_type == "tool_use":
                    tool = tools[block.id] = block.name
                    text = str(block.input, "utf-8", "replace")
                    add_text(None if text in _NO_INPUT else text)
                elif block_type == "tool_result":
                    tool, content = tools.get(block.tool_use_id), block.content
                    add_text(content if isinstance(content, str) else output_text(content))
                else:
                    add_text(block.thinking if block_type == "thinking" else block.text)
                add_at(event.timestamp)
                add_type(event.type)
                add_subtype(block_type)
                add_role(role)
                add_model(model)
                add_tool(tool)
                add_turn(turn)
                add_parent(event.parent_tool_use_id)
            if not blocks:
                add_at(event.timestamp)
                add_type(event.type)
                add_subtype(event.subtype)
                add_role(role)
                add_text(_first_text((event.result, event.content, message, event.error)))
                add_model(model)
                add_tool(event.tool_name)
                add_turn(turn)
                add_parent(event.parent_tool_use_id)

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one event that does not have the usual form."""
        turn = self._turns.turn_of(event["type"], event.get("subtype"), event.get("result_index"))
        for row in odd_event_rows(event, self._tools):
            row["result_index"] = turn
            for name, values in self.lists.items():
                values.append(row.get(name))

    def drain(self) -> dict[str, list[Any]]:
        """Returns the rows since the last call, and forgets them."""
        drained = self.lists
        self.lists = self.new_lists()
        return drained


def n_rows_of(event: Any, tools: dict[Any, Any]) -> int:
    """How many rows an event of the usual form has; notes the tools that it calls."""
    message = event.message
    if not isinstance(message, _Message) or not isinstance(message.content, list):
        return 1
    for block in message.content:
        if block.type == "tool_use":
            tools[block.id] = block.name
    return len(message.content) or 1


def _first_text(values: Iterable[object]) -> str | None:
    return next((value for value in values if isinstance(value, str)), None)


def odd_event_rows(event: dict[str, Any], tools: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """The rows of any event, whatever it contains."""
    message = event.get("message")
    message = message if isinstance(message, dict) else {}
    common = {
        "type": event["type"],
        "at": event.get("timestamp"),
        "role": message.get("role"),
        "model": message.get("model", event.get("model")),
        "parent_tool_use_id": event.get("parent_tool_use_id"),
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
    block_type = block.get("type")
    row: dict[str, Any] = {"subtype": block_type}
    if block_type == "tool_use":
        row["tool"] = tools[_key(block.get("id"))] = block.get("name")
        row["text"] = as_json(block.get("input"))
    elif block_type == "tool_result":
        row["tool"] = tools.get(_key(block.get("tool_use_id")))
        row["text"] = output_text(block.get("content"))
    else:
        row["text"] = block.get("thinking") if block_type == "thinking" else block.get("text")
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
    except (ValueError, OverflowError, msgspec.MsgspecError):  # a lone surrogate
        return json.dumps(value)
    except RecursionError:
        return None


def output_text(content: object) -> str | None:
    """A tool's output as text; a block of another type is named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    blocks = [block for block in content if isinstance(block, dict)]
    return "\n".join(
        block["text"] if isinstance(block.get("text"), str) else f"[{block.get('type')}]"
        for block in blocks
    )
