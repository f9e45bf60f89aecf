"""How tasks of the real CLI end, and what is reported."""

from __future__ import annotations

import json

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
LS = {"tool": "Bash", "input": {"command": "ls", "description": "list"}}
BUSY = {"status": 429, "times": 1, "headers": {"retry-after": "0"}}
TASKS = {
    "plain": ({"prompt": "Say hello."}, ("succeeded", "completed")),
    "retried": ({"prompt": script({"fail": BUSY, "text": "made it"})}, ("succeeded", "completed")),
    "refused": ({"prompt": script({"fail": {"status": 400}})}, ("failed", "api_error")),
    "typed": (
        {"prompt": script({"so": {"n": 7}}, {"text": "seven"}), "schema": SCHEMA},
        ("succeeded", "completed"),
    ),
    "untyped": ({"prompt": script({"text": "no"}), "schema": SCHEMA}, ("failed", "no_structure")),
    "turns": ({"prompt": script(LS), "max_turns": 2}, ("failed", "max_turns")),
    "dear": (
        {
            "prompt": script({**LS, "usage": {"output_tokens": 1_000_000}}, {"text": "over"}),
            "task_budget_usd": 0.01,
        },
        ("failed", "budget"),
    ),
    "arguments": ({"prompt": "a", "claude_args": ["--no-such-flag"]}, ("failed", "usage_error")),
}


@pytest.mark.slow
def test_every_end_of_the_real_cli_is_reported_as_it_is(real_cpr: Cpr, api: ScriptedApi) -> None:
    text = prompts(*[{"id": name, **element} for name, (element, _) in TASKS.items()])
    session = real_cpr.launch(text, "-j4").wait(LIMIT_S)
    ends = {task.id: (task.outcome, task.reason) for task in session}
    assert ends == {name: end for name, (_, end) in TASKS.items()}
    assert session.task("plain").text == "Hello from the scripted API."
    assert session.task("typed").result() == {"n": 7}
    assert session.task("retried").fields["api_retries"] == 1
    assert session.task("refused").fields["api_error_status"] == 400
    assert "no-such-flag" in session.task("arguments").error
    row = json.loads(real_cpr.good("status", "--json", session.id))
    plain = row["tasks"][0]
    assert plain["cost_usd"] > 0 and (plain["input_tokens"], plain["output_tokens"]) == (100, 20)
    assert plain["num_turns"] == 1 and plain["peak_rss_bytes"] > 50_000_000
    costs = [task["cost_usd"] for task in row["tasks"] if task["cost_usd"] is not None]
    assert row["cost_usd"] == pytest.approx(sum(costs))
    assert row["claude_version"]
    assert not (session.path / "task-plain.err").exists()
    told = (session.path / "task-untyped.txt").read_text()
    assert told.startswith("no\n") and "[failed: no_structure]" in told


def test_a_session_budget_skips_what_is_left(real_cpr: Cpr, api: ScriptedApi) -> None:
    dear = script({"text": "dear", "usage": {"output_tokens": 1_000_000}})
    session = real_cpr.launch(prompts(dear, "b", "c"), "-j1", "--budget-usd", "30")
    session.wait(LIMIT_S)  # too little is left for another one that costs as much
    assert [task.reason for task in session] == ["completed", "budget", "budget"]
    assert len({record.conversation_id for record in api.requests if record.step >= 0}) == 1
