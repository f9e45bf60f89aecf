"""Runs of the real CLI that have several turns, or none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ANSWER = {"text": "The answer."}
OUTSIDE = {"tool": "Write", "input": {"file_path": "/etc/cpr-nb-denied", "content": "x"}}
AGENT = {
    "tool": "Agent",
    "input": {
        "description": "help",
        "prompt": script({"wait": "structured", "text": "A subagent's words."}),
        "subagent_type": "general-purpose",
        "run_in_background": True,
    },
}
NOTED = {"text": "Noted.", "notification": 1}
BROKEN = {"fail": {"status": 400, "message": "too late"}, "notification": 1}


def waking(fifo: str) -> dict[str, Any]:
    """A command that ends after the answer; if it ended before, its end would start no turn."""
    call = {"command": f"cat {fifo}", "description": "wake me", "run_in_background": True}
    return {"tool": "Bash", "input": call}


def launch(real_cpr: Cpr, tasks: dict[str, dict[str, Any]], *options: str) -> cpr.Session:
    text = prompts(*[{"id": name, **task} for name, task in tasks.items()])
    return real_cpr.launch(text, "--allow", "Bash", "--allow", "Agent", *options)


def ended_its_turn(task: cpr.Task) -> bool:
    return "a background command still runs" in task.note


def test_a_notification_turn_takes_nothing_back(real_cpr: Cpr, work: Path) -> None:
    woken = ("denied", "trouble")
    for name in woken:
        os.mkfifo(work / name)
    structured = {"so": {"n": 7}, "release": "structured"}
    tasks = {
        "denied": {
            "prompt": script(OUTSIDE, waking("denied"), ANSWER, NOTED),
            "fail_on_denied": True,
        },
        "typed": {"prompt": script(AGENT, structured, {"text": "7"}, NOTED), "schema": SCHEMA},
        "trouble": {"prompt": script(waking("trouble"), ANSWER, BROKEN)},
        "command": {"prompt": "/clear"},
    }
    session = launch(real_cpr, tasks, "-j4", "--attempts", "2")
    for name in woken:
        session.wait_until(lambda name=name: ended_its_turn(session.task(name)), LIMIT_S, name)
        (work / name).write_text("")
    session.wait(LIMIT_S)
    ends = {task.id: (task.outcome, task.reason, task.attempts) for task in session}
    assert ends == {
        "denied": ("failed", "denied", 1),
        "typed": ("succeeded", "completed", 1),
        "trouble": ("succeeded", "completed", 1),
        "command": ("failed", "no_answer", 1),
    }
    denied, typed, trouble, command = session
    assert [denial["tool_name"] for denial in denied.denials] == ["Write"]
    assert denied.fields["num_turns"] == 4
    assert len(session.denials_df()) == 1
    assert (typed.result(), typed.structured) == ({"n": 7}, {"n": 7})
    assert typed.text == "Noted."  # never the subagent's words
    assert trouble.text == "The answer."
    assert "a later turn failed (api_error): API Error: 400 too late" in trouble.fields["note"]
    assert trouble.fields["is_error"] is False
    assert "/clear" in command.error


def test_a_hook_that_refuses_the_prompt_is_no_success(
    real_cpr: Cpr, offline_env: dict[str, str], api: ScriptedApi
) -> None:
    hook = {"type": "command", "command": "echo 'not on Fridays' >&2; exit 2"}
    settings = Path(offline_env["CLAUDE_CONFIG_DIR"], "settings.json")
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"hooks": {"UserPromptSubmit": [{"hooks": [hook]}]}}))
    session = launch(real_cpr, {"one": {"prompt": "Say hello."}}, "--attempts", "2")
    (task,) = session.wait(LIMIT_S)
    assert (task.outcome, task.reason, task.attempts) == ("failed", "no_answer", 1)
    assert "not on Fridays" in task.error
    assert not any(record.step >= 0 for record in api.requests)
