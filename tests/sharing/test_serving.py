"""What a session with shared processes does, seen from outside, with the real CLI."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

SHARED = ("--share-process", "-j2")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def processes_of(session: cpr.Session) -> dict[str, int]:
    """Which process served each task's attempt, by the journal."""
    journal = lines(session.path / "journal.jsonl")
    intents = [line for line in journal if line["event"] == "intent" and "process" in line]
    return {line["task_id"]: line["process"] for line in intents}


def test_tasks_share_processes_and_each_has_a_stream_of_its_own(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    tasks = [script({"text": f"answer {n}"}) for n in range(6)]
    session = real_cpr.launch(prompts(*tasks), *SHARED).wait(LIMIT_S)
    assert [task.text for task in session] == [f"answer {n}" for n in range(6)]
    assert len(api.requests) == 6
    served = processes_of(session)
    assert len(served) == 6 and len(set(served.values())) <= 2
    for task in session:
        events = lines(session.path / f"task-{task.id}.jsonl")
        assert {event["session_id"] for event in events} == {task.conversation_id}
        assert [event["type"] for event in events][-1] == "result"
        assert not any(event["type"] == "conversation_reset" for event in events)
    assert not list(session.path.glob("process-*"))


def test_a_process_serves_tasks_of_one_model_only(real_cpr: Cpr, api: ScriptedApi) -> None:
    tasks = [
        {"id": f"{model}{n}", "prompt": script({"text": "done"}), "model": f"claude-{model}-4-5"}
        for n in range(3)
        for model in ("opus", "haiku")
    ]
    session = real_cpr.launch(prompts(*tasks), *SHARED).wait(LIMIT_S)
    served = processes_of(session)
    assert len(served) == 6
    of_model = {model: {served[f"{model}{n}"] for n in range(3)} for model in ("opus", "haiku")}
    assert not of_model["opus"] & of_model["haiku"]
    asked = [request.model for request in api.requests]
    assert sorted(asked) == ["claude-haiku-4-5"] * 3 + ["claude-opus-4-5"] * 3


def test_the_check_knows_its_task_and_the_agents_do_not(real_cpr: Cpr) -> None:
    call = {"tool": "Bash", "input": {"command": "echo id=${CPR_TASK_ID:-none}"}}
    tasks = [{"id": name, "prompt": script(call, {"text": "done"})} for name in ("a", "b")]
    options = ("--allow", "Bash", "--check", 'echo "of $CPR_TASK_ID"')
    session = real_cpr.launch(prompts(*tasks), *SHARED, *options).wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 2
    for name in ("a", "b"):
        assert (session.path / f"task-{name}.check.log").read_text() == f"of {name}\n"
        assert "id=none" in (session.path / f"task-{name}.jsonl").read_text()


def test_a_served_task_can_be_followed_up(
    real_cpr: Cpr, api: ScriptedApi, in_env: Callable[[dict[str, str]], None]
) -> None:
    session = real_cpr.launch(prompts(script({"text": "one"}), "x"), *SHARED).wait(LIMIT_S)
    in_env(real_cpr.env)
    more = session[0].follow_up(script({"text": "two"})).wait(LIMIT_S)
    assert [task.text for task in more] == ["two"] and more[0].outcome == "succeeded"
    assert api.requests[-1].n_messages > api.requests[0].n_messages  # it has the first answer


def test_tasks_with_other_budgets_get_other_processes(real_cpr: Cpr) -> None:
    tasks = [
        {"id": f"t{n}", "prompt": script({"text": "done"}), "task_budget_usd": usd}
        for n, usd in enumerate((0.5, 2.0, 0.5, 2.0))
    ]
    session = real_cpr.launch(prompts(*tasks), *SHARED).wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 4
    served = processes_of(session)
    assert not {served["t0"], served["t2"]} & {served["t1"], served["t3"]}
