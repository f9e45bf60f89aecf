"""The steps of one attempt, in the order of its stream: a message with all its parts is one step.

A stream has one line for each block of a message, a call's result comes in a later line, and lines
of several subagents alternate. So the stream is read twice: once to learn which lines belong
together, of which only the offsets are kept, and once to join them. However long the stream is,
no more than one step is in memory.
"""

from __future__ import annotations

from array import array
from typing import Any, BinaryIO, NamedTuple

from cpr_nb.model.events import content_blocks, parse_line, usage_tokens
from cpr_nb.model.json_values import text_or_none
from cpr_nb.store.files import open_regular
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: What stands for a text that is left out.
REDACTED = "[redacted]"


class ToolCall(NamedTuple):
    """A call of a tool, with its result.

    Args:
        id: The id of the call.
        name: The tool.
        input: What it was called with, a JSON object; `REDACTED` if it is left out.
        output: Its result as text; None if there is none.
        is_error: Whether the result is an error; None if there is none.
        ended_at_s: When the result came, in seconds since the epoch; None if that is unknown.
    """

    id: str
    name: str
    input: Any
    output: str | None = None
    is_error: bool | None = None
    ended_at_s: float | None = None


class Step(NamedTuple):
    """One message of a conversation: of a model, with the results of its calls, or to a model.

    Args:
        source: ``assistant`` or ``user``.
        attempt: The number of the attempt, from 1.
        message_id: The id of a model's message; "" if it has none.
        model: The model that wrote it; None if that is unknown, or it is no model's.
        at_s: When it came, in seconds since the epoch; None if that is unknown.
        text: What it says.
        thinking: What the model thought before; "" if nothing.
        calls: The calls of tools that it makes.
        tokens: Its tokens by our names, as far as they are known. Output tokens are known only of
            a message whose end the stream has: before that the CLI writes a placeholder.
        stop_reason: Why the message ended; None if that is unknown.
        parent_call_id: The call whose subagent's conversation it belongs to; None for the task's
            own agent.
    """

    source: str
    attempt: int
    message_id: str
    model: str | None
    at_s: float | None
    text: str
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    tokens: dict[str, int] = {}  # noqa: RUF012  a default that nobody changes
    stop_reason: str | None = None
    parent_call_id: str | None = None


def stream_steps(path: str, attempt: int = 1, *, redact: bool = False) -> Iterator[Step]:
    """Reads the steps of a stream.

    Args:
        path: The stream.
        attempt: The number of its attempt.
        redact: Whether `REDACTED` stands for what was said, thought, given to a tool and returned
            by it.

    Yields:
        The steps. A stream that is missing or can't be read has none.

    Example:
        >>> list(stream_steps("/no/such/stream.jsonl"))
        []
    """
    try:
        file = open_regular(path)
    except OSError:
        return
    with file:
        index = _Index(file)
        for offsets in index.messages:
            step = _joined(file, offsets, index.results, attempt)
            yield _redacted(step) if redact else step


class _Index:
    """Where in a stream the lines of each message are, and those of each result.

    Attributes:
        messages: The offsets of the lines of each message, in the order of their first lines.
        results: The id of a call → the offset of the line with its result.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.messages: list[array[int]] = []
        self.results: dict[str, int] = {}
        self._by_id: dict[str, array[int]] = {}
        offset = 0
        for line in file:
            if b'"assistant"' in line or b'"user"' in line:
                self._add(parse_line(line) or {}, offset)
            offset += len(line)

    def _add(self, event: dict[str, Any], offset: int) -> None:
        if event.get("type") == "assistant":
            message = event.get("message")
            message_id = text_or_none(message.get("id")) if isinstance(message, dict) else None
            offsets = self._by_id.get(message_id or "")
            if message_id and offsets is not None:
                offsets.append(offset)
                return
            self.messages.append(array("q", [offset]))
            if message_id:
                self._by_id[message_id] = self.messages[-1]
        elif event.get("type") == "user":
            blocks = content_blocks(event)
            results = [block for block in blocks if block.get("type") == "tool_result"]
            for block in results:
                self.results[str(block.get("tool_use_id"))] = offset
            if len(results) < len(blocks):
                self.messages.append(array("q", [offset]))


def _joined(file: BinaryIO, offsets: array[int], results: dict[str, int], attempt: int) -> Step:
    """The message whose lines are at these offsets."""
    events = [_event_at(file, offset) for offset in offsets]
    messages = [event["message"] for event in events if isinstance(event.get("message"), dict)]
    blocks = [block for event in events for block in content_blocks(event)]
    newest: dict[str, Any] = messages[-1] if messages else {}
    stop_reason = text_or_none(newest.get("stop_reason"))
    tokens = usage_tokens(newest.get("usage"))
    if stop_reason is None:
        tokens.pop("output_tokens", None)
    return Step(
        source=str(events[0].get("type")),
        attempt=attempt,
        message_id=text_or_none(newest.get("id")) or "",
        model=text_or_none(newest.get("model")),
        at_s=parse_iso(events[0].get("timestamp")),
        text="\n\n".join(_texts(blocks, "text")),
        thinking="\n\n".join(_texts(blocks, "thinking")),
        calls=tuple(
            _call(file, block, results) for block in blocks if block.get("type") == "tool_use"
        ),
        tokens=tokens,
        stop_reason=stop_reason,
        parent_call_id=text_or_none(events[0].get("parent_tool_use_id")),
    )


def _event_at(file: BinaryIO, offset: int) -> dict[str, Any]:
    file.seek(offset)
    return parse_line(file.readline()) or {}


def _texts(blocks: list[dict[str, Any]], kind: str) -> list[str]:
    return [str(block.get(kind, "")) for block in blocks if block.get("type") == kind]


def _call(file: BinaryIO, block: dict[str, Any], results: dict[str, int]) -> ToolCall:
    call = ToolCall(str(block.get("id")), str(block.get("name")), block.get("input"))
    offset = results.get(call.id)
    event = {} if offset is None else _event_at(file, offset)
    for result in content_blocks(event):
        if str(result.get("tool_use_id")) == call.id:
            return call._replace(
                output=_output(result.get("content")),
                is_error=result.get("is_error") is True,  # the API omits it for a success
                ended_at_s=parse_iso(event.get("timestamp")),
            )
    return call


def _output(content: object) -> str:
    """A result as text; what is no text, such as a picture, is named in brackets."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [block for block in content if isinstance(block, dict)]
    return "\n".join(
        str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type')}]"
        for part in parts
    )


def _redacted(step: Step) -> Step:
    return step._replace(
        text=step.text and REDACTED,
        thinking=step.thinking and REDACTED,
        calls=tuple(
            call._replace(input=REDACTED, output=call.output and REDACTED) for call in step.calls
        ),
    )
