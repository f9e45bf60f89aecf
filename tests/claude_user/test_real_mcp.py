"""The real CLI as client of ``cpr mcp``: a person's Claude, and agents that cpr itself runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, console_script, prompts, script
from testkit.conversations import ask_claude, tool_results

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
#: One call waits for 50 s at most; after the end, a call returns at once.
WAITS = 3 * ({"tool": "mcp__cpr__wait", "input": {}},)
RESULTS = {"tool": "mcp__cpr__results", "input": {}}


def launch_step(*inner: str, **options: Any) -> dict[str, Any]:
    return {"tool": "mcp__cpr__launch", "input": {"prompts": list(inner), **options}}


def servers(*arguments: str) -> dict[str, Any]:
    return {"cpr": {"command": console_script(), "args": ["mcp", *arguments]}}


def as_client(*arguments: str) -> tuple[str, ...]:
    config = json.dumps({"mcpServers": servers(*arguments)})
    return "--mcp-config", config, "--strict-mcp-config", "--allowedTools=mcp__cpr"


def test_a_persons_claude_starts_a_session_waits_and_reads(real_cpr: Cpr, api: ScriptedApi) -> None:
    inner = [script({"text": f"answer {number}"}) for number in (1, 2)]
    costly = script({"text": "all that is left", "usage": {"input_tokens": 400_000}})
    again = launch_step(*inner, name="wide")
    late = script({"text": "never said"})
    asks = (launch_step(*inner, name="wide"), *WAITS, RESULTS, again)
    asks += (launch_step(costly), *WAITS, launch_step(late))
    said = ask_claude(real_cpr, script(*asks, {"text": "done"}), *as_client("--budget-usd", "0.5"))
    launched, _, _, ended, read, same, _, _, _, spent, refused = said
    assert launched["is_new"] and launched["n_tasks"] == 2
    assert ended["has_ended"] and ended["n_succeeded"] == 2
    assert [task["answer"] for task in read["tasks"]] == ["answer 1", "answer 2"]
    assert not same["is_new"] and same["session_id"] == launched["session_id"]
    asked = [r.last_user_text for r in api.requests if r.path.endswith("/v1/messages")]
    for prompt in inner:  # the API's own log: each ran once
        assert sum(text.endswith(prompt) for text in asked) == 1
    assert spent["has_ended"] and spent["cost_usd"] > 0.5
    assert "nothing is left of the USD 0.5" in refused
    assert not [text for text in asked if text.endswith(late)]
    session = cpr.attach("wide", real_cpr.cwd / "results")
    spec = json.loads((session.path / "session.json").read_text())
    assert spec["launched_by"]["depth"] == 0 and spec["options"]["permissions"] == "edits"


def test_an_agent_starts_nothing_unless_a_person_allows_it(real_cpr: Cpr, api: ScriptedApi) -> None:
    inner = script({"text": "from the inner agent"})
    steps = (launch_step(inner), *WAITS, {"text": "done"})
    results = str(real_cpr.cwd / "results")
    options = ("--budget-usd", "1", "--results-dir", results)
    at_depth = {
        "default": servers(*options),
        "without-budget": servers("--max-depth", "2", "--results-dir", results),
        "elsewhere": servers("--max-depth", "2", "--budget-usd", "1", "--results-dir", "else"),
        "allowed": servers("--max-depth", "2", *options),
    }
    session = real_cpr.launch(
        prompts(
            *(
                {"id": name, "prompt": script(*steps), "mcp_servers": config}
                for name, config in at_depth.items()
            )
        ),
        *("--allow", "mcp__cpr", "--permissions", "read", "-j2"),
    ).wait(2 * LIMIT_S)  # the inner agent gives way to all other work, twice
    said = {task.id: tool_results(task.stream_path.read_text()) for task in session}
    assert "at depth 1" in said["default"][0] and "--max-depth 2" in said["default"][0]
    assert "only with a budget" in said["without-budget"][0]
    assert "is not in" in said["elsewhere"][0]
    launched, *_, ended = said["allowed"]
    assert launched["is_new"] and ended["n_succeeded"] == 1
    ran = [r for r in api.requests if r.last_user_text.endswith(inner)]
    assert len(ran) == 1
    child = json.loads(
        (session.path.parent / f"session-{launched['session_id']}/session.json").read_text()
    )
    assert child["launched_by"] == {"session_id": session.id, "task_id": "allowed", "depth": 1}
    assert child["options"]["permissions"] == "read" and child["options"]["mcp_servers"] == {}
