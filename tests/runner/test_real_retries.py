"""A further attempt where it may help, in the same conversation, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, kill_agent, prompts

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def script(*steps: dict[str, Any]) -> str:
    return f"Do it. SCRIPT={json.dumps(steps)}"


def run(real_cpr: Cpr, *elements: Any, options: tuple[str, ...] = ()) -> cpr.Session:
    return real_cpr.launch(prompts(*elements), *options).wait(LIMIT_S)


def journal(session: cpr.Session, event: str) -> list[dict[str, Any]]:
    lines = (session.path / "journal.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.mark.real_cli
def test_a_missing_structure_is_asked_for_in_the_same_conversation(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    # The CLI itself reminds of the schema once; then it gives up and exits with 0.
    prompt = script({"text": "no"}, {"text": "no again"}, {"so": {"n": 7}}, {"text": "there"})
    session = run(real_cpr, {"id": "t", "prompt": prompt, "schema": SCHEMA})
    task = session[0]
    assert (task.outcome, task.attempts, task.result()) == ("succeeded", 2, {"n": 7})
    first, second = journal(session, "intent")
    assert first["conversation_id"] == second["conversation_id"] == task.conversation_id
    (ended,) = journal(session, "attempt_ended")
    assert ended["reason"] == "no_structure"
    alone = task.facts().cost_usd
    assert alone is not None and task.cost_usd == pytest.approx(ended["cost_usd"] + alone)
    asked = [r.last_user_blocks[-1] for r in api.requests if r.last_user_blocks]
    assert any("lacks the structured output" in text for text in asked)
    assert (session.path / "task-t.jsonl").exists() and (session.path / "task-t@2.jsonl").exists()


@pytest.mark.real_cli
def test_an_agent_that_is_killed_continues_where_it_stopped(real_cpr: Cpr) -> None:
    kill = {"tool": "Bash", "input": {"command": kill_agent("echo once >> ran.txt")}}
    prompt = script(kill, {"text": "gone on"})
    session = run(real_cpr, {"id": "t", "prompt": prompt, "permissions": "all"})
    task = session[0]
    assert (task.outcome, task.attempts, task.text) == ("succeeded", 2, "gone on")
    assert journal(session, "attempt_ended")[0]["signal"] == 9
    assert (real_cpr.cwd / "ran.txt").read_text() == "once\n"


@pytest.mark.real_cli
def test_what_would_only_fail_again_is_not_tried_again(real_cpr: Cpr) -> None:
    refused = {"fail": {"status": 400, "message": "no"}}
    session = run(real_cpr, script(refused), options=("--attempts", "3"))
    assert (session[0].reason, session[0].attempts) == ("api_error", 1)


@pytest.mark.real_cli
def test_one_attempt_is_one_attempt(real_cpr: Cpr) -> None:
    element = {"prompt": script({"text": "no"}), "schema": SCHEMA, "attempts": 1}
    session = run(real_cpr, element)
    assert (session[0].reason, session[0].attempts) == ("no_structure", 1)
    assert session[0].text.startswith("no")


#: Does what the CLI's own clean-up can do, once: the transcript lacks its beginning.
LOSE_BEGINNING = """
if mkdir lost; then
  until grep -q '"type":"assistant"' "$HOME"/.claude/projects/*/*.jsonl; do sleep 0.1; done
  sed -i '1,/"type":"user"/d' "$HOME"/.claude/projects/*/*.jsonl
  kill -9 $PPID
fi
"""


@pytest.mark.real_cli
def test_a_conversation_that_lost_its_beginning_begins_anew(real_cpr: Cpr) -> None:
    lose = {"tool": "Bash", "input": {"command": LOSE_BEGINNING, "description": "Run it"}}
    prompt = script(lose, {"text": "finished"})
    task = run(real_cpr, prompt, options=("--permissions", "all"))[0]
    assert (task.outcome, task.attempts, task.text) == ("succeeded", 2, "finished")
    first, second = journal(task.session, "intent")
    assert first["conversation_id"] != second["conversation_id"] == task.conversation_id
