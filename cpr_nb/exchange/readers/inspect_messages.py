"""A sample of an Inspect log as the stream that the CLI would have written."""

from __future__ import annotations

from typing import Any

from cpr_nb.model.events import SYNTHETIC, TOKEN_FIELDS
from cpr_nb.model.json_values import integer, number, text_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTACHMENT = "attachment://"
_PROVIDER = "anthropic/"
#: Inspect's names of the counts → ours.
_TOKENS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "input_tokens_cache_read": "cache_read_tokens",
    "input_tokens_cache_write": "cache_write_tokens",
}
_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "max_tokens": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "content_filter": "refusal",
}


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one in place of what is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A JSON array, or an empty one in place of what is none."""
    return value if isinstance(value, list) else []


def cli_model(model: Any) -> str | None:
    """A model's name as the CLI says it.

    Example:
        >>> cli_model("anthropic/claude-opus-5-5"), cli_model("openai/gpt-5")
        ('claude-opus-5-5', 'openai/gpt-5')
        >>> cli_model("anthropic/unknown") is None  # as an export names what nobody knows
        True
    """
    if not isinstance(model, str) or model == f"{_PROVIDER}unknown":
        return None
    return model.removeprefix(_PROVIDER)


def tokens_of(usage: Any) -> dict[str, int]:
    """The tokens in Inspect's usage, by our names.

    Example:
        >>> tokens_of({"input_tokens": 3, "total_tokens": 3, "input_tokens_cache_read": None})
        {'input_tokens': 3}
    """
    counts = {ours: integer(as_dict(usage).get(name)) for name, ours in _TOKENS.items()}
    return {name: count for name, count in counts.items() if count is not None}


def content_text(content: Any) -> str:
    """The text of a message; what is no text, such as a picture, is named in brackets."""
    if isinstance(content, str):
        return content
    parts = [as_dict(part) for part in as_list(content)]
    return "\n".join(
        str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type')}]"
        for part in parts
        if part.get("type") != "reasoning"
    )


class SampleStream:
    """The stream of a sample: its messages and the results of its calls, in order.

    What a model was sent is in its events again and again; each message is taken once.

    Args:
        sample: The sample, as Inspect has written it.
        conversation_id: The id of the conversation.
    """

    def __init__(self, sample: dict[str, Any], conversation_id: str) -> None:
        self._sample = sample
        self._attachments = as_dict(sample.get("attachments"))
        self._pool = as_list(as_dict(sample.get("events_data")).get("messages"))
        self._shared = {"session_id": conversation_id}
        self._written: set[str] = set()  # ids of messages, and of calls with a result
        self._parents: dict[str, str] = {}  # span → the span around it
        self._agents: dict[str, str] = {}  # span → the call that started the subagent in it

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines, without the result."""
        events = [as_dict(event) for event in as_list(self._sample.get("events"))]
        if not any(event.get("event") == "model" for event in events):
            for message in as_list(self._sample.get("messages")):
                yield from self._message(as_dict(message), {}, None)
            return
        self._learn_spans(events)
        for event in events:
            if event.get("event") == "model":
                yield from self._model(event)
            elif event.get("event") == "tool":
                yield from self._tool(event)
            elif event.get("event") == "info" and event.get("source") == "claude-code":
                yield self._own_words(self._text(event.get("data")), event)

    def _learn_spans(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if event.get("event") == "span_begin" and isinstance(event.get("parent_id"), str):
                self._parents[str(event.get("id"))] = event["parent_id"]
            elif event.get("event") == "tool" and isinstance(event.get("agent_span_id"), str):
                self._agents[event["agent_span_id"]] = str(event.get("id"))

    def _parent_call(self, event: dict[str, Any]) -> str | None:
        """The call that started the subagent to which an event belongs."""
        span, passed = event.get("span_id"), set()
        while isinstance(span, str) and span not in passed:
            if span in self._agents:
                return self._agents[span]
            passed.add(span)
            span = self._parents.get(span)
        return None

    def _model(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        parent = self._parent_call(event)
        for message in self._input(event):
            yield from self._message(message, event, parent)
        output = as_dict(event.get("output"))
        choices = as_list(output.get("choices"))
        if not choices:
            if isinstance(event.get("error"), str):
                yield self._own_words(self._text(event["error"]), event)
            return
        choice = as_dict(choices[0])
        message = as_dict(choice.get("message"))
        self._written.add(str(message.get("id")))
        yield self._assistant(message, event, parent, str(choice.get("stop_reason")))

    def _input(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The messages that the model was sent, without those before."""
        messages = as_list(event.get("input"))
        for reference in as_list(event.get("input_refs")):
            if isinstance(reference, list) and [type(one) for one in reference] == [int, int]:
                messages = [*messages, *self._pool[reference[0] : reference[1]]]
        for message in map(as_dict, messages):
            if str(message.get("id")) not in self._written:
                yield message

    def _message(
        self, message: dict[str, Any], event: dict[str, Any], parent: str | None
    ) -> Iterator[dict[str, Any]]:
        """A message of which no event tells more: of a user, or from before the log began."""
        if message.get("id") is not None:
            self._written.add(str(message["id"]))
        role = message.get("role")
        if role == "assistant":
            yield self._assistant(message, {}, parent, None)
        elif role == "tool":
            yield from self._result(message, message.get("content"), event, parent)
        elif role == "user" and (message.get("source") != "input" or parent is not None):
            text = self._text(content_text(message.get("content")))
            yield self._user([{"type": "text", "text": text}], event.get("timestamp"), parent)

    def _assistant(
        self, message: dict[str, Any], event: dict[str, Any], parent: str | None, stop: str | None
    ) -> dict[str, Any]:
        metadata, output = as_dict(event.get("metadata")), as_dict(event.get("output"))
        usage = tokens_of(output.get("usage")) or as_dict(metadata.get("cpr_tokens"))
        is_ours = "cpr_tokens" in metadata and not output.get("usage")
        fields = {
            "id": metadata.get("cpr_message_id") or message.get("id"),
            "type": "message",
            "role": "assistant",
            "model": cli_model(message.get("model") or event.get("model")),
            "content": list(self._blocks(message)),
            "stop_reason": None if is_ours else _STOP_REASONS.get(stop or ""),
            "usage": {
                TOKEN_FIELDS[name][1]: n for name, n in usage.items() if name in TOKEN_FIELDS
            },
        }
        at = event.get("completed") or event.get("timestamp")
        return self._line("assistant", fields, at, parent)

    def _blocks(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in map(as_dict, as_list(parts)):
            if part.get("type") == "reasoning":
                yield {"type": "thinking", "thinking": self._text(part.get("reasoning"))}
            elif part.get("type") != "text":
                yield {"type": "text", "text": f"[{part.get('type')}]"}
            elif part.get("text"):
                yield {"type": "text", "text": self._text(part["text"])}
        for call in map(as_dict, as_list(message.get("tool_calls"))):
            given = self._resolved(as_dict(call.get("arguments")))
            known = {"id": str(call.get("id")), "name": str(call.get("function"))}
            yield {"type": "tool_use", **known, "input": given}

    def _tool(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if event.get("pending"):
            return
        message = {"tool_call_id": event.get("id"), "error": event.get("error")}
        times = {"timestamp": event.get("completed") or event.get("timestamp")}
        yield from self._result(message, event.get("result"), times, self._parent_call(event))

    def _result(
        self, message: dict[str, Any], content: Any, event: dict[str, Any], parent: str | None
    ) -> Iterator[dict[str, Any]]:
        call_id = str(message.get("tool_call_id"))
        if f"result of {call_id}" in self._written:
            return
        self._written.add(f"result of {call_id}")
        text = self._text(content_text(content)) if isinstance(content, str | list) else ""
        if content is not None and not isinstance(content, str | list):
            text = str(content)  # a number, or whether something is so
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id, "content": text}
        error = message.get("error")
        if error:
            said = self._text(as_dict(error).get("message"))
            block |= {"is_error": True, "content": text or said}
        yield self._user([block], event.get("timestamp"), parent)

    def _own_words(self, text: str, event: dict[str, Any]) -> dict[str, Any]:
        """What no model has written."""
        block = {"type": "text", "text": text}
        message = {"role": "assistant", "model": SYNTHETIC, "content": [block]}
        return self._line("assistant", message, event.get("timestamp"), None)

    def _user(self, blocks: list[dict[str, Any]], at: Any, parent: str | None) -> dict[str, Any]:
        return self._line("user", {"role": "user", "content": blocks}, at, parent)

    def _line(
        self, kind: str, message: dict[str, Any], at: Any, parent: str | None
    ) -> dict[str, Any]:
        line = {"type": kind, "message": message, "parent_tool_use_id": parent, **self._shared}
        return {**line, "timestamp": at} if isinstance(at, str) else line

    def _text(self, text: Any) -> str:
        """A text, which may be the key of an attachment."""
        if not isinstance(text, str):
            return ""
        if text.startswith(_ATTACHMENT):
            return str(self._attachments.get(text.removeprefix(_ATTACHMENT), text))
        return text

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._resolved(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        return self._text(value) if isinstance(value, str) else value


def result_line(
    sample: dict[str, Any], answer: str | None, *, is_error: bool, conversation_id: str
) -> dict[str, Any]:
    """The result of a sample as the CLI would have written it, with its figures of each model."""
    by_model: dict[str, dict[str, Any]] = {}
    costs: list[float | None] = []
    for model, usage in as_dict(sample.get("model_usage")).items():
        counts = {TOKEN_FIELDS[name][0]: n for name, n in tokens_of(usage).items()}
        cost_usd = number(as_dict(usage).get("total_cost"))
        costs.append(cost_usd)
        name = cli_model(model)
        if name is not None:
            by_model[name] = {**counts, **({} if cost_usd is None else {"costUSD": cost_usd})}
    line: dict[str, Any] = {
        "type": "result",
        "subtype": "error_during_execution" if is_error else "success",
        "is_error": is_error,
        "result": answer or "",
        "session_id": conversation_id,
        "modelUsage": by_model,
        "timestamp": text_or_none(sample.get("completed_at")),
    }
    if costs and None not in costs:
        line["total_cost_usd"] = sum(cost for cost in costs if cost is not None)
    return {name: value for name, value in line.items() if value is not None}
