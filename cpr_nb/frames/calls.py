"""Rows of tool calls and of denials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cpr_nb.frames.events import as_json, output_text
from cpr_nb.frames.streams import ObjectReader, TaskSelection
from cpr_nb.model.activity import tool_target
from cpr_nb.model.denial_reasons import DenialReasons, denials_of
from cpr_nb.model.denials import Advice, advise
from cpr_nb.model.events import content_blocks
from cpr_nb.model.merged_result import Results
from cpr_nb.store.times import parse_iso


def call_rows(selection: TaskSelection) -> Iterator[dict[str, Any]]:
    """One row per tool call, in the order of the calls."""
    for _, task in selection.tasks:
        ids = selection.ids(task)
        for attempt, reader in selection.attempts(task, CallReader):
            for call in reader.calls:
                yield {**ids, "attempt": attempt, **call}


class CallReader(ObjectReader):
    """The tool calls of a stream, each with its result once there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        self._by_id: dict[str, dict[str, Any]] = {}

    def handle_event(self, event: dict[str, Any]) -> None:
        """Handles one event."""
        timestamp, event_type = event.get("timestamp"), event["type"]
        for block in content_blocks(event):
            if event_type == "assistant" and block.get("type") == "tool_use":
                self.calls.append(_call(block, timestamp, event.get("parent_tool_use_id")))
                if isinstance(block.get("id"), str):
                    self._by_id[block["id"]] = self.calls[-1]
            elif event_type == "user" and block.get("type") == "tool_result":
                call = self._by_id.get(str(block.get("tool_use_id")))
                if call is not None:
                    _add_result(call, block, timestamp)
        for call_id, permission in _permissions(event):
            if call_id in self._by_id:
                self._by_id[call_id]["permission"] = permission


def _call(block: dict[str, Any], timestamp: object, parent: object) -> dict[str, Any]:
    return {
        "tool": block.get("name"),
        "target": tool_target(block.get("input")) or None,
        "started_at": timestamp,
        "input": as_json(block.get("input")),
        "parent_tool_use_id": parent,
    }


def _add_result(call: dict[str, Any], block: dict[str, Any], timestamp: object) -> None:
    call["ended_at"] = timestamp
    call["is_error"] = block.get("is_error", False)  # the API omits it for a success
    call["output"] = output_text(block.get("content"))
    start, end = parse_iso(call["started_at"]), parse_iso(timestamp)
    if start is not None and end is not None and end >= start:
        call["duration_s"] = round(end - start, 6)


def _permissions(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The permissions that an event reports: the id of the call, and allowed or denied."""
    if event.get("subtype") == "permission_denied":
        yield str(event.get("tool_use_id")), "denied"
    if event["type"] == "result":
        for denial in denials_of(event):
            yield str(denial.get("tool_use_id")), "denied"
    metas = event.get("tool_result_meta")
    for meta in metas if isinstance(metas, list) else ():
        decision = meta.get("permission_decision") if isinstance(meta, dict) else None
        if isinstance(decision, dict) and decision.get("decision") in ("accept", "reject"):
            yield str(meta.get("id")), "allowed" if decision["decision"] == "accept" else "denied"


# -- denials --------------------------------------------------------------------------------


def denial_rows(selection: TaskSelection) -> Iterator[dict[str, Any]]:
    """One row per task and rule that would allow what was denied, or reason where none does."""
    for _, task in selection.tasks:
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        for _attempt, reader in selection.attempts(task, DenialReader):
            for denial in reader.denials:
                advice = advise(denial)
                rules: list[str | None] = [*advice.rules] or [None]
                for rule in rules:
                    tool = str(denial.get("tool_name", ""))
                    key = (tool, rule) if rule else (tool, "", advice.reason)
                    if key not in rows:
                        rows[key] = {**selection.ids(task), **_denial_row(denial, advice, rule)}
                    rows[key]["n"] += 1
        yield from rows.values()


def _denial_row(denial: dict[str, Any], advice: Advice, rule: str | None) -> dict[str, Any]:
    warning = advice.warnings.get(rule or "")
    return {
        "tool": str(denial.get("tool_name", "")),
        "rule": rule,
        "reason": f"{advice.reason}; the rule {warning}" if warning else advice.reason,
        "n": 0,
        "target": tool_target(denial.get("tool_input")) or None,
        "input": as_json(denial.get("tool_input")),
    }


class DenialReader(ObjectReader):
    """The denials of a stream: those of its result lines, and those reported since the last one."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, object] = {}
        self._reasons = DenialReasons()
        self._reported: list[dict[str, Any]] = []
        self._results = Results()

    def handle_event(self, event: dict[str, Any]) -> None:
        """Handles one event."""
        if event["type"] == "result":
            self._reasons.explain(event)
            self._results.add(event)
            self._reported = []
        elif event["type"] == "user":
            self._reasons.feed(event)
        elif event.get("subtype") == "permission_denied":
            self._reasons.feed(event)
            tool_input = self._inputs.get(str(event.get("tool_use_id")))
            self._reported.append({**event, "tool_input": tool_input})
        elif event["type"] == "assistant":
            for block in content_blocks(event):
                if block.get("type") == "tool_use":
                    self._inputs[str(block.get("id"))] = block.get("input")

    @property
    def denials(self) -> list[dict[str, Any]]:
        """The denials so far."""
        return denials_of(self._results.merged) + self._reported
