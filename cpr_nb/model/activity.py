"""What a task does now, from its stream: the current tool, the last words, a retry."""

from __future__ import annotations

from cpr_nb.model.events import content_blocks, integer, number, text_blocks
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The field of a tool's input that says best what it is about, in this order.
_TARGETS = ("file_path", "notebook_path", "command", "pattern", "url", "query", "description")


def tool_target(tool_input: object) -> str:
    """What a tool call is about: a file, a command, a pattern.

    Example:
        >>> tool_target({"command": "pytest -q", "description": "run tests"})
        'pytest -q'
    """
    if isinstance(tool_input, dict):
        for name in _TARGETS:
            value = tool_input.get(name)
            if isinstance(value, str) and value:
                return one_line(value, 120)
    return ""


class Activity:
    """Follows one task's events; `now` is one line about what it does.

    Args:
        cwd: The task's folder; files below it are named without it.

    Example:
        >>> activity = Activity()
        >>> activity.feed({"type": "system", "subtype": "init"})
        >>> activity.now
        'thinking'
    """

    def __init__(self, cwd: str = "") -> None:
        self._cwd = cwd.rstrip("/") + "/" if cwd else ""
        self._open: dict[str, tuple[str, str, str]] = {}
        self._started = False
        self._words = ""
        self._retry = ""
        self.n_tool_calls = 0
        self.n_denials = 0

    def feed(self, event: dict[str, Any]) -> None:
        """Takes one event of the stream, in order."""
        self._started = True
        kind = event.get("type")
        if kind == "assistant":
            self._retry = ""
            self._feed_assistant(event)
        elif kind == "user":
            for block in content_blocks(event):
                if block.get("type") == "tool_result":
                    self._open.pop(str(block.get("tool_use_id")), None)
        elif kind == "system" and event.get("subtype") == "api_retry":
            self._retry = _retry_line(event)
        elif kind == "system" and event.get("subtype") == "permission_denied":
            self.n_denials += 1

    def _feed_assistant(self, event: dict[str, Any]) -> None:
        at = event.get("timestamp")
        for block in content_blocks(event):
            if block.get("type") == "tool_use":
                name, target = (
                    one_line(str(block.get("name", "")), 80),
                    tool_target(block.get("input")),
                )
                self._open[str(block.get("id"))] = (
                    name,
                    target.removeprefix(self._cwd),
                    at if isinstance(at, str) else "",
                )
                self.n_tool_calls += 1
        words = text_blocks(event)
        if words:
            self._words = one_line(words[-1], 200)

    @property
    def tool_running(self) -> bool:
        """Whether a tool call has no result yet."""
        return bool(self._open)

    @property
    def tool_started_at(self) -> str:
        """When the call that runs now was made (ISO 8601, from the stream), or ``""``."""
        return next(reversed(self._open.values()))[2] if self._open else ""

    @property
    def now(self) -> str:
        """One line: the retry that it waits for, else its tool, else its last words."""
        if self._retry:
            return self._retry
        if self._open:
            name, target, _ = next(reversed(self._open.values()))
            return f"{name} {target}".strip()
        return self._words or ("thinking" if self._started else "starting")


def _retry_line(event: dict[str, Any]) -> str:
    status, error = event.get("error_status"), event.get("error")
    why = status if integer(status) is not None else (error if isinstance(error, str) else "error")
    delay_ms = number(event.get("retry_delay_ms"))
    wait = f", waits {delay_ms / 1000:.0f} s" if delay_ms else ""
    return one_line(f"API answered {why}{wait} (retry {event.get('attempt')})")
