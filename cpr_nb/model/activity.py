"""Events in words for people, and what a task does now: its tool, its last text, a retry."""

from __future__ import annotations

from cpr_nb.model.events import content_blocks
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.text import one_line
from cpr_nb.model.turns import subagent_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The fields of a tool's input that describe it best, in this order.
_TARGETS = ("file_path", "notebook_path", "command", "pattern", "url", "query", "description")
_TARGET_CHARS, _NAME_CHARS, _TEXT_CHARS = 120, 80, 200


def tool_target(tool_input: object) -> str:
    """The target of a tool call: a file, a command, a pattern.

    Example:
        >>> tool_target({"command": "pytest -q", "description": "run tests"})
        'pytest -q'
    """
    return one_line(_target(tool_input), _TARGET_CHARS)


def _target(tool_input: object) -> str:
    """The same as it stands in the input, or its beginning."""
    if isinstance(tool_input, dict):
        for name in _TARGETS:
            value = tool_input.get(name)
            if isinstance(value, str) and value:
                return value[: 4 * _TARGET_CHARS]  # no more counts for `one_line`
    return ""


def retry_text(event: dict[str, Any]) -> str:
    """What an ``api_retry`` event says.

    Example:
        >>> retry_text({"error_status": 429, "attempt": 1, "retry_delay_ms": 5000})
        'API answered 429, retry 1 in 5 s'
    """
    status, error = event.get("error_status"), event.get("error")
    if integer(status) is None:
        status = error if isinstance(error, str) else "error"
    delay_ms = number(event.get("retry_delay_ms"))
    delay = f" in {delay_ms / 1000:.0f} s" if delay_ms else ""
    return one_line(f"API answered {status}, retry {event.get('attempt')}{delay}")


def denial_text(event: dict[str, Any]) -> str:
    """What a ``permission_denied`` event says.

    Example:
        >>> denial_text({"tool_name": "Bash", "message": "not allowed"})
        'Bash: not allowed'
    """
    return one_line(f"{event.get('tool_name')}: {event.get('message', '')}", 200)


def result_text(block: dict[str, Any]) -> str:
    r"""The text of a ``tool_result`` block.

    Example:
        >>> result_text({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})
        'a\nb'
    """
    content = block.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


class Activity:
    """Follows one task's events; `now` says on one line what it does.

    Args:
        cwd: The task's folder; files below it are shown relative to it.

    Example:
        >>> activity = Activity()
        >>> activity.feed({"type": "system", "subtype": "init"})
        >>> activity.now
        'thinking'
    """

    def __init__(self, cwd: str = "") -> None:
        self._cwd = cwd.rstrip("/") + "/" if cwd else ""
        # Made fit to be shown only when somebody looks: a busy task calls many tools in between.
        self._open: dict[str, tuple[str, str, str, str]] = {}
        self._has_started = False
        self._text = ("", "")
        self._retry = ""
        self.n_tool_calls = 0
        self.n_denials = 0

    def feed(self, event: dict[str, Any]) -> None:
        """Reads one event of the stream; call it in order."""
        self._has_started = True
        kind = event.get("type")
        if kind == "assistant":
            self._retry = ""
            self._feed_assistant(event)
        elif kind == "user":
            for block in content_blocks(event):
                if block.get("type") == "tool_result":
                    self._open.pop(str(block.get("tool_use_id")), None)
        elif kind == "system" and event.get("subtype") == "api_retry":
            self._retry = retry_text(event)
        elif kind == "system" and event.get("subtype") == "permission_denied":
            self.n_denials += 1

    def _feed_assistant(self, event: dict[str, Any]) -> None:
        timestamp, mark = event.get("timestamp"), subagent_mark(event)
        for block in content_blocks(event):
            kind = block.get("type")
            if kind == "tool_use":
                self._open[str(block.get("id"))] = (
                    mark,
                    str(block.get("name", ""))[: 4 * _NAME_CHARS],
                    _target(block.get("input")),
                    timestamp if isinstance(timestamp, str) else "",
                )
                self.n_tool_calls += 1
            elif kind == "text" and isinstance(block.get("text"), str):
                self._text = mark, block["text"][: 4 * _TEXT_CHARS]

    @property
    def tool_running(self) -> bool:
        """Whether a tool call has no result yet."""
        return bool(self._open)

    @property
    def tool_started_at(self) -> str:
        """When the running tool call began (ISO 8601, from the stream), or ``""``."""
        return next(reversed(self._open.values()))[3] if self._open else ""

    @property
    def now(self) -> str:
        """One line: the retry that it waits for, else its tool, else its last text."""
        if self._retry:
            return self._retry
        if self._open:
            mark, name, target, _ = next(reversed(self._open.values()))
            target = one_line(target, _TARGET_CHARS).removeprefix(self._cwd)
            return f"{mark}{one_line(name, _NAME_CHARS)} {target}".strip()
        mark, text = self._text
        shown = mark + one_line(text, _TEXT_CHARS)
        return shown or ("thinking" if self._has_started else "starting")
