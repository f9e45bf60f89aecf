"""A session written by hand, the same bytes each time: two attempts, nested subagents, odd ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testkit.session_folders import write_session

BEGIN = "2026-05-01T10:00:"


def line(
    kind: str, at_s: int, content: list[Any], parent: str | None = None, **message: Any
) -> bytes:
    """One line of a stream."""
    role = {"role": kind, "content": content, **message}
    event = {"type": kind, "message": role, "parent_tool_use_id": parent}
    return json.dumps({**event, "timestamp": f"{BEGIN}{at_s:02}.000Z"}).encode() + b"\n"


def said(
    at_s: int, name: str, *content: Any, parent: str | None = None, ended: bool = True
) -> bytes:
    """A message of the model: 10 tokens in, 5 out, 100 from the cache, 20 into it."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
    }
    reason = ("tool_use" if content[-1]["type"] == "tool_use" else "end_turn") if ended else None
    about = {"id": name, "model": "claude-x", "usage": usage, "stop_reason": reason}
    return line("assistant", at_s, list(content), parent, **about)


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words}


def call(name: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": name, "name": tool, "input": arguments}


def returned(at_s: int, name: str, output: Any, parent: str | None = None, **more: Any) -> bytes:
    """The result of a call."""
    block = {"type": "tool_result", "tool_use_id": name, "content": output, **more}
    return line("user", at_s, [block], parent)


def result(answer: str) -> bytes:
    """The last line."""
    event = {"type": "result", "subtype": "success", "is_error": False, "result": answer}
    usage = {"input_tokens": 10, "output_tokens": 5}
    return json.dumps({**event, "total_cost_usd": 0.25, "usage": usage}).encode() + b"\n"


def attempts() -> dict[str, list[bytes]]:
    """The streams of the attempts of each task."""
    thinking = {"type": "thinking", "thinking": "Which file?"}
    picture = [text("See"), {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]
    first = said(1, "m1", thinking) + said(1, "m1", call("c1", "Read", path="a.py"))
    first += returned(2, "c1", picture) + said(3, "m2", call("c2", "Bash", command="sleep 9"))
    second = said(11, "m3", call("c3", "Bash", command="false"))
    second += returned(12, "c3", "Exit code 1", is_error=True) + said(13, "m4", text("Done."))
    outer = said(1, "m5", call("s1", "Agent", prompt="look"))
    outer += said(2, "m6", call("s2", "Agent", prompt="look deeper"), parent="s1")
    outer += said(3, "m7", text("deep"), parent="s2") + returned(4, "s2", "deep", parent="s1")
    outer += returned(5, "s1", "found") + said(6, "m8", text("All found."))
    lost = said(1, "m9", text("orphan"), parent="gone") + said(2, "m10", text("x"), ended=False)
    not_a_number = said(1, "m11", text("\ud800 alone, \x1b[31m"), call("c4", "Odd")).replace(
        b'"input": {}', b'"input": {"x": NaN}'
    )
    return {
        "again": [first, second + result("Done.")],
        "nested": [outer + result("All found.")],
        "lost": [lost],
        "odd": [not_a_number + result("odd")],
    }


def write_fixed_session(results: Path) -> Path:
    """Writes its folder; returns it."""
    folder = write_session(results, attempts(), name="fixed", created_at=f"{BEGIN}00.000Z")
    path = folder / "status.json"
    status = json.loads(path.read_text())
    for task in status["tasks"]:
        task |= {"started_at": f"{BEGIN}00.500Z", "ended_at": f"{BEGIN}20.000Z", "duration_s": 19.5}
    failed = {"success": 0, "outcome": "failed", "reason": "check_failed", "error": "the check <1>"}
    status["tasks"][1] |= failed
    status["tasks"][2] |= {"success": 0, "outcome": "lost", "reason": "vanished"}
    states = [
        {"id": "skipped", "state": "ended", "outcome": "skipped", "reason": "budget", "success": 0},
        {"id": "cancelled", "state": "ended", "outcome": "cancelled", "reason": "cancelled"},
        {"id": "waits", "state": "pending"},
    ]
    for number, fields in enumerate(states, start=5):
        about = {"task_num": number, "transaction_id": fields.pop("id"), "prompt": "Later."}
        status["tasks"].append({**about, "status": "pending", **fields})
    path.write_text(json.dumps(status))
    (folder / "task-again.txt").write_text("Done.\n")
    return folder
