"""Why tool calls were denied, as a stream tells it.

The result line lists what was denied, and not why. The CLI gives the reason to the agent: in the
result of the call, and from 2.1.227 on in the event ``system/permission_denied``, with its kind. (A
hook that refuses leaves no such event.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A line that can say why a call was denied contains one of these.
REASON_MARKS = (b'"permission_denied"', b'"is_error":true')
_MOST_REASONS = 1000
_LONGEST = 4000
_RAN = "Exit code "  # the result of a command that was allowed, and failed


def denials_of(result: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The denials in a result line, as the CLI wrote them.

    Example:
        >>> denials_of({"permission_denials": [{"tool_name": "Bash"}, 1]})
        [{'tool_name': 'Bash'}]
    """
    denials = result.get("permission_denials") if result else None
    return [d for d in denials if isinstance(d, dict)] if isinstance(denials, list) else []


class DenialReasons:
    """The reasons for denials; feed it the events of a stream.

    Example:
        >>> reasons = DenialReasons()
        >>> reasons.feed({"subtype": "permission_denied", "tool_use_id": "t", "message": "no"})
        >>> result = {"permission_denials": [{"tool_use_id": "t"}]}
        >>> reasons.explain(result)
        >>> result
        {'permission_denials': [{'tool_use_id': 't', 'message': 'no'}]}
    """

    __slots__ = ("_reasons",)

    def __init__(self) -> None:
        self._reasons: dict[str, dict[str, Any]] = {}  # id of the call → fields of a denial

    def feed(self, event: dict[str, Any]) -> None:
        """Reads one event."""
        if event.get("subtype") == "permission_denied":
            fields = {name: event.get(name) for name in ("message", "decision_reason_type")}
            self._add(event.get("tool_use_id"), {k: v for k, v in fields.items() if v is not None})
            return
        message = event.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("is_error") is True:
                text = _text_of(block.get("content"))
                if not text.startswith(_RAN):
                    self._add(block.get("tool_use_id"), {"message": text[:_LONGEST]})

    def explain(self, result: dict[str, Any]) -> None:
        """Adds to the denials in a result line why, where it is known."""
        denials = result.get("permission_denials")
        for denial in denials if isinstance(denials, list) else ():
            if isinstance(denial, dict):
                denial.update(self._reasons.get(str(denial.get("tool_use_id")), {}))

    def _add(self, call_id: object, fields: dict[str, Any]) -> None:
        if isinstance(call_id, str) and len(self._reasons) < _MOST_REASONS:
            self._reasons.setdefault(call_id, fields)


def _text_of(content: object) -> str:
    """The text of a tool's result: a text, or blocks of text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else ()
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
