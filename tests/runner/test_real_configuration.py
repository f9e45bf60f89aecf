"""What the options for the CLI's own configuration do with the real CLI, by its requests."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.recording import FALLBACK, LACKING, RecordingApi

pytestmark = pytest.mark.real_cli

# A server with one tool over stdin and stdout, as the Model Context Protocol has it.
SERVER = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    version = message.get("params", {}).get("protocolVersion")
    text = "ticket for " + os.environ["TICKETS_TOKEN"]
    replies = {
        "initialize": {"protocolVersion": version, "capabilities": {"tools": {}},
                       "serverInfo": {"name": "tickets", "version": "1"}},
        "tools/list": {"tools": [{"name": "find", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": text}]},
    }
    reply = {"jsonrpc": "2.0", "id": message["id"], "result": replies.get(message["method"], {})}
    print(json.dumps(reply), flush=True)
"""


@pytest.fixture
def api() -> Iterator[RecordingApi]:
    with RecordingApi() as server:
        yield server


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "run it"}}


def test_what_an_agent_is_given_arrives(real_cpr: Cpr, api: RecordingApi) -> None:
    work, other = real_cpr.cwd, real_cpr.cwd.parent / "other"
    other.mkdir()
    (work / "server.py").write_text(SERVER)
    (work / ".mcp.json").write_text(json.dumps({"mcpServers": {"unwanted": {"command": "x"}}}))
    server = {
        "command": sys.executable,
        "args": [str(work / "server.py")],
        "env": {"TICKETS_TOKEN": "${MY_TOKEN}"},
    }
    (work / "servers.json").write_text(json.dumps({"mcpServers": {"tickets": server}}))
    call = {"description": "look", "subagent_type": "critic", "prompt": script({"text": "fine"})}
    steps = (
        {"tool": "mcp__tickets__find", "input": {}},
        {"tool": "Write", "input": {"file_path": f"{other}/new.txt", "content": "x"}},
        bash("python3 -c \"open('allowed.txt', 'w')\""),
        bash("touch denied.txt"),
        {"tool": "Task", "input": call},
        {"text": "done"},
    )
    task = {
        "prompt": script(*steps),
        "system_prompt": "You close tickets.",
        "mcp_servers": "servers.json",
        "agents": {"critic": {"description": "finds faults", "prompt": "Be strict."}},
        "add_dirs": [str(other)],
        "settings": {"permissions": {"allow": ["Bash", "Bash(touch:*)"]}},
        "allow": ["mcp__tickets"],
        "deny": ["Bash(touch:*)"],
        "tools": ["Read", "Write", "Bash"],
    }
    environ = ("--env", "MY_TOKEN=s3cret")
    (task_,) = real_cpr.launch(prompts(task), *environ).wait(LIMIT_S)
    assert task_.outcome == "succeeded", task_.error
    assert api.texts("system", "You close tickets.") and api.texts("system", "Be strict.")
    assert "ticket for s3cret" in task_.stream_path.read_text()
    assert "unwanted" not in task_.stream_path.read_text()
    assert (other / "new.txt").exists() and (work / "allowed.txt").exists()
    assert not (work / "denied.txt").exists()
    assert [denial["tool_name"] for denial in task_.denials] == ["Bash"]


def test_a_fallback_answers_and_safe_mode_leaves_out_what_is_customised(
    real_cpr: Cpr, api: RecordingApi
) -> None:
    hook = {"type": "command", "command": "touch hook-$CPR_TASK_ID"}
    settings = {"hooks": {"SessionStart": [{"hooks": [hook]}]}}
    (real_cpr.cwd / ".claude").mkdir()
    (real_cpr.cwd / ".claude" / "settings.json").write_text(json.dumps(settings))
    real_cpr.good("trust", "--yes")
    (real_cpr.cwd / "CLAUDE.md").write_text("The word of this project is quokka.\n")
    done = script(bash("touch {cwd}/denied.txt"), {"text": "done"})
    common = {"prompt": done, "deny": ["Bash(touch:*)"], "model": FALLBACK}
    session = real_cpr.launch(
        prompts(
            {**common, "id": "plain", "model": LACKING, "fallback_model": FALLBACK},
            {**common, "id": "safe", "safe_mode": True, "system_prompt": {"append": "Wombat."}},
        ),
        "-j2",
    ).wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 2
    models = session.tasks_df(full=True)["response_model"]
    assert list(models) == [FALLBACK] * 2
    assert {body["model"] for body in api.bodies if "quokka" in json.dumps(body)} == {
        LACKING,
        FALLBACK,
    }
    (safe_first, *_) = api.texts("system", "Wombat.")
    safe = [body for body in api.bodies if "Wombat." in json.dumps(body.get("system"))]
    assert safe and "quokka" not in json.dumps(safe)
    assert "Claude Code" in safe_first
    assert {path.name for path in real_cpr.cwd.glob("hook-*")} == {"hook-plain"}
    assert all(len(task.denials) == 1 for task in session)
    assert not (real_cpr.cwd / "denied.txt").exists()
