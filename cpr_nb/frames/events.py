"""Rows of what agents did: events, tool calls, denials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from cpr_nb.frames.streams import View
from cpr_nb.model.activity import tool_target
from cpr_nb.model.denials import denial_rule, denials_of
from cpr_nb.model.events import content_blocks
from cpr_nb.store.times import parse_iso

# Where an event without content blocks says something in words, in this order.
_WORDS = ("result", "content", "message", "error")


# -- events ---------------------------------------------------------------------------------


def event_rows(view: View) -> Iterator[dict[str, Any]]:
    """A row a content block, or an event without any."""
    for _, task in view.tasks:
        ids = view.ids(task)
        for attempt, events in view.attempts(task):
            for seq, row in enumerate(_blocks(events), 1):
                yield {**ids, "attempt": attempt, "seq": seq, **row}


def _blocks(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    tools: dict[str, object] = {}  # id of a call → its tool
    for event in events:
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        common = {
            "type": event["type"],
            "at": event.get("timestamp"),
            "role": message.get("role"),
            "model": message.get("model", event.get("model")),
        }
        blocks = content_blocks(event)
        for block in blocks:
            yield {**common, **_block(block, tools)}
        if not blocks:
            said = (event.get(name) for name in _WORDS)
            text = next((words for words in said if isinstance(words, str)), None)
            tool = event.get("tool_name")
            yield {**common, "subtype": event.get("subtype"), "text": text, "tool": tool}


def _block(block: dict[str, Any], tools: dict[str, object]) -> dict[str, Any]:
    kind = block.get("type")
    row: dict[str, Any] = {"subtype": kind}
    if kind == "tool_use":
        row["tool"] = tools[str(block.get("id"))] = block.get("name")
        row["text"] = as_json(block.get("input"))
    elif kind == "tool_result":
        row["tool"] = tools.get(str(block.get("tool_use_id")))
        row["text"] = _output(block.get("content"))
    else:
        row["text"] = block.get("thinking") if kind == "thinking" else block.get("text")
    return row


# -- tool calls -----------------------------------------------------------------------------


def tool_call_rows(view: View) -> Iterator[dict[str, Any]]:
    """A row a tool call, in the order of the calls."""
    for _, task in view.tasks:
        ids = view.ids(task)
        for attempt, events in view.attempts(task):
            for call in _calls(events):
                yield {**ids, "attempt": attempt, **call}


def _calls(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    by_id: dict[str, dict[str, Any]] = {}
    for event in events:
        at, kind = event.get("timestamp"), event["type"]
        for block in content_blocks(event):
            if kind == "assistant" and block.get("type") == "tool_use":
                calls.append(_call(block, at))
                if isinstance(block.get("id"), str):
                    by_id[block["id"]] = calls[-1]
            elif kind == "user" and block.get("type") == "tool_result":
                call = by_id.get(str(block.get("tool_use_id")))
                if call is not None:
                    _answer(call, block, at)
        for call_id, permission in _permissions(event):
            if call_id in by_id:
                by_id[call_id]["permission"] = permission
    return calls


def _call(block: dict[str, Any], at: object) -> dict[str, Any]:
    return {
        "tool": block.get("name"),
        "target": tool_target(block.get("input")) or None,
        "started_at": at,
        "input": as_json(block.get("input")),
    }


def _answer(call: dict[str, Any], block: dict[str, Any], at: object) -> None:
    call["ended_at"] = at
    call["is_error"] = block.get("is_error", False)  # the API leaves it out of a good one
    call["output"] = _output(block.get("content"))
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


def denial_rows(view: View) -> Iterator[dict[str, Any]]:
    """A row a task and a rule that would allow what was denied."""
    for _, task in view.tasks:
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for _attempt, events in view.attempts(task):
            for denial in _denials(events):
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


def _denials(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The denials of an attempt: those of its result line, until then those told as they came."""
    inputs: dict[str, object] = {}
    told: list[dict[str, Any]] = []
    result = None
    for event in events:
        if event["type"] == "result":
            result = event
        elif event.get("subtype") == "permission_denied":
            tool_input = inputs.get(str(event.get("tool_use_id")))
            told.append({"tool_name": event.get("tool_name", ""), "tool_input": tool_input})
        elif event["type"] == "assistant":
            for block in content_blocks(event):
                if block.get("type") == "tool_use":
                    inputs[str(block.get("id"))] = block.get("input")
    return told if result is None else denials_of(result)


# -- texts ----------------------------------------------------------------------------------


def as_json(value: object) -> str | None:
    """A value as JSON; None if there is none.

    Example:
        >>> as_json({"file_path": "a.py"})
        '{"file_path":"a.py"}'
    """
    if value is None:
        return None
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, OverflowError, msgspec.MsgspecError):  # half a surrogate pair
        return json.dumps(value)
    except RecursionError:
        return None


def _output(content: object) -> str | None:
    """What a tool answered, as text; what is no text is named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    blocks = [block for block in content if isinstance(block, dict)]
    return "\n".join(
        block["text"] if isinstance(block.get("text"), str) else f"[{block.get('type')}]"
        for block in blocks
    )
