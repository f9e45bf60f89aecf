"""The steps of a running or ended task, from its stream, without keeping what they hold."""

from __future__ import annotations

import json

from cpr_nb.model.activity import tool_target
from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.files import open_regular
from cpr_nb.store.tail import Follower
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONG = 300  # longer words are folded


class Step:
    """One step: words of the agent, a tool call, a refusal, a retry, the end.

    Args:
        number: Its number, from 0.
        at: Seconds from the first event, None if nobody knows.
        name: The tool's name; empty for words.
        target: What it is about.
    """

    __slots__ = ("at", "brief", "name", "number", "places", "target", "tone")

    def __init__(self, number: int, at: float | None, name: str, target: str) -> None:
        self.number = number
        self.at = at
        self.name = name
        self.target = target
        self.brief = ""
        self.tone = "mute"
        # What unfolds → where it stands: the line's offset in the stream, the block in it.
        self.places: dict[str, tuple[int, int]] = {}

    def told(self) -> dict[str, Any]:
        """It as the browser is told."""
        return {
            "n": self.number,
            "at": self.at,
            "name": self.name,
            "target": self.target,
            "brief": self.brief,
            "tone": self.tone,
            "parts": list(self.places),
        }


class Steps:
    """Follows the stream of one attempt.

    Args:
        path: The stream.
        cwd: The task's folder; files below it are named without it.

    Example:
        >>> Steps("/no/such/stream").look(1000)
        []
    """

    def __init__(self, path: str, cwd: str = "") -> None:
        self._path = path
        self._cwd = cwd.rstrip("/") + "/" if cwd else ""
        self._follower = Follower(path)
        self._offset = 0
        self._calls: dict[str, Step] = {}
        self._began: float | None = None
        self._changed: dict[int, Step] = {}
        self.steps: list[Step] = []
        self.words: list[str] = []

    def look(self, limit_bytes: int) -> list[Step]:
        """Reads what is new.

        Args:
            limit_bytes: How much to read at most.

        Returns:
            The steps that are new or have changed.
        """
        self._changed = {}
        for line in self._follower.new_lines(limit_bytes):
            event = parse_line(line)
            if event is not None:
                self._feed(event)
            self._offset += len(line) + 1
        return list(self._changed.values())

    def text(self, step: int, part: str) -> str:
        """What unfolds below a step: ``input``, ``result`` or ``words``; read from the stream.

        Raises:
            KeyError: If there is no such part.
            IndexError: If there is no such step.
        """
        offset, number = self.steps[step].places[part]
        try:
            with open_regular(self._path) as file:
                file.seek(offset)
                event = parse_line(file.readline()) or {}
        except OSError:
            return ""
        blocks = content_blocks(event)
        block = blocks[number] if number < len(blocks) else {}
        if part == "words":
            return str(block.get("text", ""))
        return _input_text(block.get("input")) if part == "input" else _result_text(block)

    def _feed(self, event: dict[str, Any]) -> None:
        kind, subtype = event.get("type"), event.get("subtype")
        at = self._since(event.get("timestamp"))
        if kind == "assistant":
            for number, block in enumerate(content_blocks(event)):
                self._said(at, number, block)
        elif kind == "user":
            for number, block in enumerate(content_blocks(event)):
                if block.get("type") == "tool_result":
                    self._came_back(number, block)
        elif kind == "system" and subtype == "api_retry":
            why = event.get("error_status") or event.get("error")
            self._note(at, "Retry", f"API answered {why}, retry {event.get('attempt')}", "warn")
        elif kind == "system" and subtype == "permission_denied":
            told = f"{event.get('tool_name')}: {event.get('message', '')}"
            self._note(at, "Denied", told, "warn")
        elif kind == "result" and event.get("is_error"):
            self._note(at, "Error", str(event.get("result") or subtype), "bad")

    def _since(self, timestamp: object) -> float | None:
        at = parse_iso(timestamp)
        if at is not None and self._began is None:
            self._began = at
        return None if at is None or self._began is None else round(at - self._began, 1)

    def _add(self, at: float | None, name: str, target: str) -> Step:
        step = Step(len(self.steps), at, _plain(name, 40), _plain(target, _LONG))
        self.steps.append(step)
        self._changed[step.number] = step
        return step

    def _note(self, at: float | None, name: str, told: str, tone: str) -> None:
        step = self._add(at, name, "")
        step.brief, step.tone = _plain(told, _LONG), tone

    def _said(self, at: float | None, number: int, block: dict[str, Any]) -> None:
        text = block.get("text")
        if block.get("type") == "text" and isinstance(text, str) and text.strip():
            self.words.append(text)
            step = self._add(at, "", text[: 4 * _LONG])
            if len(text) > _LONG or "\n" in text.strip():
                step.places["words"] = (self._offset, number)
        elif block.get("type") == "tool_use":
            target = tool_target(block.get("input")).removeprefix(self._cwd)
            step = self._add(at, str(block.get("name", "")), target)
            step.places["input"] = (self._offset, number)
            step.brief, step.tone = "◐ running", "run"
            self._calls[str(block.get("id"))] = step

    def _came_back(self, number: int, block: dict[str, Any]) -> None:
        step = self._calls.pop(str(block.get("tool_use_id")), None)
        if step is None:
            return
        step.places["result"] = (self._offset, number)
        text = _result_text(block).strip()
        n_lines = text.count("\n") + 1
        first = _plain(text, 80)
        step.tone = "bad" if block.get("is_error") else "mute"
        step.brief = f"{n_lines} lines" if n_lines > 1 and step.tone == "mute" else first
        self._changed[step.number] = step


def _plain(text: str, limit: int) -> str:
    return one_line(strip_controls(text[: 4 * limit]), limit)


def _input_text(tool_input: object) -> str:
    """A tool's input as a person reads it: one text as it is, several by their names."""
    if not isinstance(tool_input, dict):
        return json.dumps(tool_input, ensure_ascii=False)
    if list(tool_input) == ["command"]:
        return str(tool_input["command"])
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in tool_input.items()
    )


def _result_text(block: dict[str, Any]) -> str:
    content = block.get("content")
    if isinstance(content, list):
        return "\n".join(str(b.get("text", "")) for b in content if isinstance(b, dict))
    return content if isinstance(content, str) else ""
