"""What was said, as attributes of spans: messages by the JSON schema of the GenAI conventions."""

from __future__ import annotations

from cpr_nb.exchange.strict_json import strict_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.exchange.stream_steps import Step

_FINISH_REASONS = {"end_turn": "stop", "tool_use": "tool_call", "max_tokens": "length"}


def message_json(role: str, text: str | None) -> str | None:
    """One message of text, as JSON; None if there is no text.

    Example:
        >>> message_json("user", "Hi")
        '[{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]'
    """
    if text is None:
        return None
    message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": text}]}
    if role == "assistant":
        message["finish_reason"] = "stop"
    return strict_json([message])


def output_message(step: Step) -> str:
    """What a model said, thought and called, as JSON.

    Args:
        step: A step of an assistant.

    Example:
        >>> from cpr_nb.exchange.stream_steps import Step
        >>> output_message(Step("assistant", 1, "m", None, None, "", stop_reason="tool_use"))
        '[{"role": "assistant", "parts": [], "finish_reason": "tool_call"}]'
    """
    parts: list[dict[str, Any]] = []
    if step.thinking:
        parts.append({"type": "reasoning", "content": step.thinking})
    if step.text:
        parts.append({"type": "text", "content": step.text})
    for call in step.calls:
        named = {"type": "tool_call", "id": call.id, "name": call.name}
        parts.append({**named, "arguments": call.input})
    reason = step.stop_reason or "unknown"
    message = {
        "role": "assistant",
        "parts": parts,
        "finish_reason": _FINISH_REASONS.get(reason, reason),
    }
    return strict_json([message])


def arguments_text(arguments: Any) -> str | None:
    """What a tool was called with, as JSON; None if nothing is known of it."""
    return None if arguments is None else strict_json(arguments)
