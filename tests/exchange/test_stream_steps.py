"""The steps of streams: recordings of the real CLI, and lines that alternate."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from testkit.streams_draw import STREAMS

from cpr_nb.exchange.stream_steps import REDACTED, Step, stream_steps
from cpr_nb.frames.events import output_text
from cpr_nb.model.events import content_blocks, parse_line


def written(path: Path, *events: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


def said(message_id: str, *blocks: dict[str, Any], parent: str | None = None, **more: Any) -> Any:
    message = {"id": message_id, "role": "assistant", "content": list(blocks), **more}
    return {"type": "assistant", "message": message, "parent_tool_use_id": parent}


def use(call_id: str, name: str = "Bash") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"command": call_id}}


def result(call_id: str, text: str, **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": text, **more}
    return {"type": "user", "message": {"role": "user", "content": [block]}}


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_each_call_of_a_recording_has_its_own_result(name: str, tmp_path: Path) -> None:
    path = tmp_path / "stream.jsonl"
    path.write_bytes(STREAMS[name])
    events = [event for line in STREAMS[name].splitlines() if (event := parse_line(line))]
    blocks = [block for event in events for block in content_blocks(event)]
    texts = {
        block["tool_use_id"]: output_text(block.get("content"))
        for block in blocks
        if block.get("type") == "tool_result"
    }
    calls = [call for step in stream_steps(str(path)) for call in step.calls]
    assert [call.id for call in calls] == [b["id"] for b in blocks if b.get("type") == "tool_use"]
    for call in calls:
        assert (call.output or None) == (texts.get(call.id) or None)
    ids = [step.message_id for step in stream_steps(str(path)) if step.source == "assistant"]
    assert len(ids) == len(set(ids))


def test_a_message_is_one_step_though_subagents_alternate(tmp_path: Path) -> None:
    path = written(
        tmp_path / "s.jsonl",
        said("m1", {"type": "text", "text": "Two agents."}, use("a", "Agent")),
        said("m2", use("b1"), parent="a"),
        said("m1", use("c", "Agent"), stop_reason="tool_use", usage={"output_tokens": 9}),
        said("m3", use("d1"), parent="c", usage={"output_tokens": 1}),
        result("d1", "no", is_error=True),
        result("b1", "yes"),
        {"type": "system", "subtype": "status"},
        result("c", "late"),
    )
    steps = list(stream_steps(path, 2))
    assert [(s.message_id, s.parent_call_id, [c.id for c in s.calls]) for s in steps] == [
        ("m1", None, ["a", "c"]),
        ("m2", "a", ["b1"]),
        ("m3", "c", ["d1"]),
    ]
    first, second, third = steps
    assert [call.output for call in first.calls] == [None, "late"]
    assert (second.calls[0].is_error, third.calls[0].is_error) == (False, True)
    assert (first.tokens, third.tokens) == ({"output_tokens": 9}, {})  # 1 is a placeholder
    assert {step.attempt for step in steps} == {2}


def test_redaction_keeps_the_form_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(STREAMS["tools"])
    plain, redacted = list(stream_steps(str(path))), list(stream_steps(str(path), redact=True))
    assert [step.message_id for step in redacted] == [step.message_id for step in plain]
    assert any(call.output for step in plain for call in step.calls)
    for step in redacted:
        _assert_redacted(step)


def _assert_redacted(step: Step) -> None:
    texts = [step.text, step.thinking, *(text for call in step.calls for text in call[2:4])]
    assert {text for text in texts if text} <= {REDACTED}


def test_no_more_than_a_step_is_in_memory(tmp_path: Path) -> None:
    path, n_steps, text = tmp_path / "s.jsonl", 300, "x" * 100_000
    with path.open("w") as file:
        for number in range(n_steps):
            for event in (said(f"m{number}", use(f"c{number}")), result(f"c{number}", text)):
                file.write(json.dumps(event) + "\n")
    tracemalloc.start()
    n_read = sum(len(step.calls[0].output or "") for step in stream_steps(str(path)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_read == n_steps * len(text)
    assert peak_bytes < 20 * len(text)
