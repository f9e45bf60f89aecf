"""A result line, and a process that goes on: what is shown, and how the task ends."""

from __future__ import annotations

import json
from typing import Any

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASSISTANT = {"type": "assistant", "message": {"id": "m", "role": "assistant", "content": []}}


def lines(kind: str, **result: Any) -> str:
    """A turn that starts something in the background, and ends with this result."""
    task = {"task_id": "x1", "task_type": kind, "description": "watch it"}
    start = {"type": "system", "subtype": "task_started", **task}
    usual = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1}
    usual |= {"result": "words", "total_cost_usd": 0.5}
    return "\n".join(json.dumps(event) for event in (start, ASSISTANT, {**usual, **result}))


def test_a_failed_turn_that_leaves_a_command_running_fails_its_task(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("for ever")
    raw = lines("local_bash", is_error=True, api_error_status=400, terminal_reason="api_error")
    prompt = plan(raw=raw, result=None, gate="for ever")
    session = stub_cpr.launch(prompts({"prompt": prompt, "linger_s": 0.3, "attempts": 1}))
    (task,) = session.wait(LIMIT_S)
    assert (task.outcome, task.reason) == ("failed", "api_error")
    assert task.note == "ended 0.3 s after its last turn; a background command still ran: watch it"


def test_an_answer_without_its_structure_is_not_final_while_an_agent_works(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("agent")
    prompt = plan(raw=lines("local_agent"), gate="agent", result={"structured_output": {"n": 1}})
    element = {"prompt": prompt, "schema": SCHEMA, "linger_s": 0.001}
    session = stub_cpr.launch(prompts(element), "--silence-s", "3600")
    (task,) = session
    session.wait_until(lambda: bool(task.note), LIMIT_S, "the end of its turn")
    assert task.note == "no answer yet; a subagent still works (watch it)"
    assert "answered_at" not in task.fields and task.cost_usd == 0.5
    assert f"[Task still running: {task.note}]" in stub_cpr.good("results", session.id)
    stub.release("agent")
    session.wait(LIMIT_S)
    assert (task.outcome, task.structured, task.note) == ("succeeded", {"n": 1}, "")
    assert '"stop"' not in (session.path / "journal.jsonl").read_text(), "no limit ended it"


def test_what_is_too_slow_after_its_answer_has_succeeded_and_says_so(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("for ever")
    prompt = plan(raw=lines("local_bash"), result=None, gate="for ever")
    session = stub_cpr.launch(prompts({"prompt": prompt, "timeout_s": 0.5}))
    (task,) = session.wait(LIMIT_S)
    assert task.outcome == "succeeded"
    ran = "a background command still ran: watch it"
    assert task.note == f"stopped after its answer (timeout); {ran}"
