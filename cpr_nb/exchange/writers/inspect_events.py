"""The events and messages of a task as Inspect writes them: each text once, each message once.

Inspect keeps a long text once as an attachment, and what a model was sent as ranges of a pool of
messages. So a log grows with the stream, and not with its square.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from cpr_nb.model.events import SYNTHETIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cpr_nb.exchange.stream_steps import Step, ToolCall

#: Longer texts of events are attachments, as in Inspect's own logs.
_LONGEST_INLINE = 100
#: What Inspect can't write is nested deeper than about 250; its readers fail at such a log.
_DEEPEST = 100
_STOP_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "model_length",
    "refusal": "content_filter",
}


class Names(NamedTuple):
    """How the messages of a sample are named: two of one name count as one in `messages_df`.

    Args:
        sample: The id of the sample, which no other log has.

    Example:
        >>> Names("51f0c2d1-1").of("msg_1")
        'msg_1.51f0c2d1'
    """

    sample: str

    def of(self, name: str) -> str:
        """The id of a message or span."""
        return f"{name}.{self.sample[:8]}"


class Attachments:
    """Keeps each long text once.

    Args:
        add: Called with the key and the text of each that is new.
    """

    def __init__(self, add: Callable[[str, str], object]) -> None:
        self._add = add
        self._known: set[bytes] = set()

    def short(self, value: Any) -> Any:
        """The value, in which keys stand for long texts."""
        if isinstance(value, str):
            return self._key(value) if len(value) > _LONGEST_INLINE else value
        if isinstance(value, dict):
            return {name: self.short(one) for name, one in value.items()}
        return [self.short(one) for one in value] if isinstance(value, list) else value

    def _key(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
        if digest.digest() not in self._known:
            self._known.add(digest.digest())
            self._add(digest.hexdigest(), text)
        return f"attachment://{digest.hexdigest()}"


def prompt_message(prompt: str, names: Names) -> dict[str, Any]:
    """The message that a conversation begins with."""
    return {"id": names.of("prompt"), "role": "user", "content": prompt, "source": "input"}


def messages_of(step: Step, number: int, names: Names) -> Iterator[dict[str, Any]]:
    """The messages of a step: its own, and the result of each call.

    Args:
        step: The step.
        number: Its number in the task, which names it where it has no id.
        names: Names the messages.
    """
    if step.model == SYNTHETIC:  # the CLI's own words: no model has written them
        return
    if step.source != "assistant":
        yield {"id": names.of(f"step-{number}"), "role": "user", "content": step.text}
        return
    yield assistant_message(step, number, names)
    for call in step.calls:
        if call.output is not None:
            yield _tool_message(call, names)


def assistant_message(step: Step, number: int, names: Names) -> dict[str, Any]:
    """The message of a model."""
    content: Any = step.text
    if step.thinking:
        content = [{"type": "reasoning", "reasoning": step.thinking}]
        if step.text:
            content.append({"type": "text", "text": step.text})
    message: dict[str, Any] = {
        "id": names.of(step.message_id or f"step-{number}"),
        "role": "assistant",
        "content": content,
        "source": "generate",
        "model": step.model,
    }
    if step.calls:
        message["tool_calls"] = [_call(call) for call in step.calls]
    return {name: value for name, value in message.items() if value is not None}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": call.name, "arguments": arguments(call.input)}


def arguments(given: Any) -> dict[str, Any]:
    """The arguments of a call: always an object, and never nested too deeply.

    Example:
        >>> arguments({"command": "ls"}), arguments("[redacted]")
        ({'command': 'ls'}, {'input': '[redacted]'})
    """
    if not _depth_at_most(given, _DEEPEST):
        return {"input": _as_text(given)}
    if isinstance(given, dict):
        return given
    return {} if given is None else {"input": given}


def _as_text(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "[nested too deeply]"


def _depth_at_most(value: Any, n: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return n > 0 and all(_depth_at_most(part, n - 1) for part in parts)


def _tool_message(call: ToolCall, names: Names) -> dict[str, Any]:
    message = {
        "id": names.of(f"result-{call.id}"),
        "role": "tool",
        "content": call.output or "",
        "tool_call_id": call.id,
        "function": call.name,
    }
    return {**message, "error": _error(call)} if call.is_error else message


def _error(call: ToolCall) -> dict[str, str]:
    return {"type": "unknown", "message": call.output or ""}


def usage(tokens: dict[str, int], cost_usd: float | None = None) -> dict[str, Any]:
    """Tokens as Inspect counts them: those that the cache had are no input tokens.

    Example:
        >>> usage({"input_tokens": 1, "output_tokens": 2, "cache_read_tokens": 4})["total_tokens"]
        7
    """
    counts: dict[str, Any] = {
        "input_tokens": tokens.get("input_tokens"),
        "output_tokens": tokens.get("output_tokens"),
        "total_tokens": sum(tokens.values()),
        "input_tokens_cache_write": tokens.get("cache_write_tokens"),
        "input_tokens_cache_read": tokens.get("cache_read_tokens"),
        "total_cost": cost_usd,
    }
    return {name: count for name, count in counts.items() if count is not None}


def model_output(step: Step, message: dict[str, Any], model: str) -> dict[str, Any]:
    """What a model answered."""
    stop = _STOP_REASONS.get(step.stop_reason or "", "tool_calls" if step.calls else "unknown")
    output: dict[str, Any] = {
        "model": model,
        "choices": [{"message": message, "stop_reason": stop}],
        "completion": step.text,
    }
    if "output_tokens" in step.tokens:  # else the stream has a placeholder, which is no figure
        output["usage"] = usage(step.tokens)
    return output


def tool_event(call: ToolCall, names: Names, agent: str | None) -> dict[str, Any]:
    """The call of a tool, with its result.

    Args:
        call: The call.
        names: Names its message, and the span of its subagent.
        agent: The subagent that it started; None if it started none.
    """
    event = {
        "event": "tool",
        "id": call.id,
        "function": call.name,
        "arguments": arguments(call.input),
        "result": call.output or "",
        "message_id": None if call.output is None else names.of(f"result-{call.id}"),
        "error": _error(call) if call.is_error else None,
        "pending": True if call.output is None else None,
        "agent": agent,
        "agent_span_id": names.of(f"agent-{call.id}") if agent else None,
    }
    return {name: value for name, value in event.items() if value is not None}


def agent_name(call: ToolCall) -> str:
    """The kind of subagent that a call starts.

    Example:
        >>> from cpr_nb.exchange.stream_steps import ToolCall
        >>> agent_name(ToolCall("t", "Task", {"subagent_type": "Explore"}))
        'Explore'
    """
    kind = call.input.get("subagent_type") if isinstance(call.input, dict) else None
    return kind if isinstance(kind, str) and kind else "subagent"
