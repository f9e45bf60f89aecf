"""The steps of a task, from its stream as it grows; their texts stay in the stream."""

from __future__ import annotations

import json

from cpr_nb.model.activity import denial_text, result_text, retry_text, tool_target
from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.merged_result import is_good
from cpr_nb.model.text import one_line
from cpr_nb.model.turns import WAKE_TEXT, TurnCounter, subagent_mark
from cpr_nb.store.files import open_regular
from cpr_nb.store.tail import Follower
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_CHARS = 300  # longer texts are folded


class Step:
    """One step: a text of the agent, a tool call, a denial, a retry, an error at the end.

    Args:
        number: Its number, from 0.
        time_s: Seconds since the first event; None if unknown.
        name: The tool's name; empty for a text.
        target: What the step is about.
    """

    __slots__ = ("brief", "name", "number", "places", "target", "time_s", "tone")

    def __init__(self, number: int, time_s: float | None, name: str, target: str) -> None:
        self.number = number
        self.time_s = time_s
        self.name = name
        self.target = target
        self.brief = ""
        self.tone = "mute"
        # What unfolds → where it is: the line's offset in the stream, and the block in the line.
        self.places: dict[str, tuple[int, int]] = {}

    def to_message(self) -> dict[str, Any]:
        """Returns the step as it is sent to the browser."""
        return {
            "n": self.number,
            "time_s": self.time_s,
            "name": self.name,
            "target": self.target,
            "brief": self.brief,
            "tone": self.tone,
            "parts": list(self.places),
        }


class StepFollower:
    """Follows the stream of one attempt.

    Args:
        path: The stream.
        cwd: The task's folder; files below it are named without it.

    Example:
        >>> StepFollower("/no/such/stream").poll(1000)
        []
    """

    def __init__(self, path: str, cwd: str = "") -> None:
        self._path = path
        self._cwd = cwd.rstrip("/") + "/" if cwd else ""
        self._follower = Follower(path)
        self._offset = 0
        self._calls: dict[str, Step] = {}
        self._start_s: float | None = None
        self._turns = TurnCounter()
        self._changed: dict[int, Step] = {}
        self.steps: list[Step] = []
        self.texts: list[str] = []

    def poll(self, limit_bytes: int) -> list[Step]:
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

    def read_part(self, step: int, part: str) -> str:
        """Reads what unfolds below a step: ``input``, ``result`` or ``text``.

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
        if part == "text":
            return str(block.get("text", ""))
        return _input_text(block.get("input")) if part == "input" else result_text(block)

    def _feed(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        time_s = self._time_s(event.get("timestamp"))
        mark = subagent_mark(event)
        if self._turns.begins(event):
            self._add_note(time_s, "Turn", WAKE_TEXT, "mute")
        if kind == "assistant":
            for number, block in enumerate(content_blocks(event)):
                self._feed_block(time_s, number, block, mark)
        elif kind == "user":
            for number, block in enumerate(content_blocks(event)):
                if block.get("type") == "tool_result":
                    self._feed_result(number, block)
        elif kind == "system":
            self._feed_system(time_s, event)
        elif kind == "result" and not is_good(event):
            reason = str(event.get("result") or event.get("subtype"))
            self._add_note(time_s, "Error", reason, "bad")

    def _time_s(self, timestamp: object) -> float | None:
        """Returns the seconds from the first event to a timestamp."""
        now_s = parse_iso(timestamp)
        if now_s is None:
            return None
        if self._start_s is None:
            self._start_s = now_s
        return round(now_s - self._start_s, 1)

    def _add(self, time_s: float | None, name: str, target: str) -> Step:
        step = Step(len(self.steps), time_s, one_line(name, 40), one_line(target, _MAX_CHARS))
        self.steps.append(step)
        self._changed[step.number] = step
        return step

    def _add_note(self, time_s: float | None, name: str, text: str, tone: str) -> None:
        step = self._add(time_s, name, "")
        step.brief, step.tone = one_line(text, _MAX_CHARS), tone

    def _feed_system(self, time_s: float | None, event: dict[str, Any]) -> None:
        if event.get("subtype") == "api_retry":
            self._add_note(time_s, "Retry", retry_text(event), "warn")
        elif event.get("subtype") == "permission_denied":
            self._add_note(time_s, "Denied", denial_text(event), "warn")

    def _feed_block(
        self, time_s: float | None, number: int, block: dict[str, Any], mark: str
    ) -> None:
        text = block.get("text")
        if block.get("type") == "text" and isinstance(text, str) and text.strip():
            if not mark:
                self.texts.append(text)
            step = self._add(time_s, "", mark + text[: 4 * _MAX_CHARS])
            if len(text) > _MAX_CHARS or "\n" in text.strip():
                step.places["text"] = (self._offset, number)
        elif block.get("type") == "tool_use":
            target = tool_target(block.get("input")).removeprefix(self._cwd)
            step = self._add(time_s, mark + str(block.get("name", "")), target)
            step.places["input"] = (self._offset, number)
            step.brief, step.tone = "◐ running", "run"
            self._calls[str(block.get("id"))] = step

    def _feed_result(self, number: int, block: dict[str, Any]) -> None:
        step = self._calls.pop(str(block.get("tool_use_id")), None)
        if step is None:
            return
        step.places["result"] = (self._offset, number)
        text = result_text(block).strip()
        n_lines = text.count("\n") + 1
        step.tone = "bad" if block.get("is_error") else "mute"
        is_counted = n_lines > 1 and step.tone == "mute"
        step.brief = f"{n_lines} lines" if is_counted else one_line(text, 80)
        self._changed[step.number] = step


def _input_text(tool_input: object) -> str:
    """Returns a tool's input for the user: a command as it is, several fields by name."""
    if not isinstance(tool_input, dict):
        return json.dumps(tool_input, ensure_ascii=False)
    if list(tool_input) == ["command"]:
        return str(tool_input["command"])
    return "\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in tool_input.items()
    )
