"""Rows of tool calls and of denials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cpr_nb.frames.events import as_json, output_text
from cpr_nb.frames.streams import ObjectReader, TaskSelection
from cpr_nb.model.activity import tool_target
from cpr_nb.model.denials import denial_rule, denials_of
from cpr_nb.model.events import content_blocks
from cpr_nb.store.times import parse_iso


def call_rows(view: TaskSelection) -> Iterator[dict[str, Any]]:
    """A row a tool call, in the order of the calls."""
    for _, task in view.tasks:
        ids = view.ids(task)
        for attempt, reading in view.attempts(task, CallReader):
            for call in reading.calls:
                yield {**ids, "attempt": attempt, **call}


class CallReader(ObjectReader):
    """The tool calls of a stream, each with its result as soon as that is there."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        self._by_id: dict[str, dict[str, Any]] = {}

    def feed_event(self, event: dict[str, Any]) -> None:
        """Takes one event."""
        at, kind = event.get("timestamp"), event["type"]
        for block in content_blocks(event):
            if kind == "assistant" and block.get("type") == "tool_use":
                self.calls.append(_call(block, at))
                if isinstance(block.get("id"), str):
                    self._by_id[block["id"]] = self.calls[-1]
            elif kind == "user" and block.get("type") == "tool_result":
                call = self._by_id.get(str(block.get("tool_use_id")))
                if call is not None:
                    _add_result(call, block, at)
        for call_id, permission in _permissions(event):
            if call_id in self._by_id:
                self._by_id[call_id]["permission"] = permission


def _call(block: dict[str, Any], at: object) -> dict[str, Any]:
    return {
        "tool": block.get("name"),
        "target": tool_target(block.get("input")) or None,
        "started_at": at,
        "input": as_json(block.get("input")),
    }


def _add_result(call: dict[str, Any], block: dict[str, Any], at: object) -> None:
    call["ended_at"] = at
    call["is_error"] = block.get("is_error", False)  # the API leaves it out of a good one
    call["output"] = output_text(block.get("content"))
    start, end = parse_iso(call["started_at"]), parse_iso(at)
    if start is not None and end is not None and end >= start:
        call["duration_s"] = round(end - start, 6)


def _permissions(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What an event tells of permissions: id of a call → allowed, denied."""
    if event.get("subtype") == "permission_denied":
        yield str(event.get("tool_use_id")), "denied"
    if event["type"] == "result":
        for denial in denials_of(event):
            yield str(denial.get("tool_use_id")), "denied"
    told = event.get("tool_result_meta")
    for meta in told if isinstance(told, list) else ():
        decision = meta.get("permission_decision") if isinstance(meta, dict) else None
        if isinstance(decision, dict) and decision.get("decision") in ("accept", "reject"):
            yield str(meta.get("id")), "allowed" if decision["decision"] == "accept" else "denied"


# -- denials --------------------------------------------------------------------------------


def denial_rows(view: TaskSelection) -> Iterator[dict[str, Any]]:
    """A row a task and a rule that would allow what was denied."""
    for _, task in view.tasks:
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for _attempt, reading in view.attempts(task, DenialReader):
            for denial in reading.denials:
                tool, rule = str(denial.get("tool_name", "")), denial_rule(denial)
                if (tool, rule) not in rows:
                    rows[tool, rule] = {
                        **view.ids(task),
                        "tool": tool,
                        "rule": rule,
                        "n": 0,
                        "target": tool_target(denial.get("tool_input")) or None,
                        "input": as_json(denial.get("tool_input")),
                    }
                rows[tool, rule]["n"] += 1
        yield from rows.values()


class DenialReader(ObjectReader):
    """The denials of a stream: those of its result line, until then those told as they came."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, object] = {}
        self._told: list[dict[str, Any]] = []
        self._result: dict[str, Any] | None = None

    def feed_event(self, event: dict[str, Any]) -> None:
        """Takes one event."""
        if event["type"] == "result":
            self._result = event
        elif event.get("subtype") == "permission_denied":
            tool_input = self._inputs.get(str(event.get("tool_use_id")))
            tool = event.get("tool_name", "")
            self._told.append({"tool_name": tool, "tool_input": tool_input})
        elif event["type"] == "assistant":
            for block in content_blocks(event):
                if block.get("type") == "tool_use":
                    self._inputs[str(block.get("id"))] = block.get("input")

    @property
    def denials(self) -> list[dict[str, Any]]:
        """The denials so far."""
        return self._told if self._result is None else denials_of(self._result)
