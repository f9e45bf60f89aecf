"""Which tools the real CLI has in each permission mode, and what adds others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.model.tools import MODE_TOOLS
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
EDITING = {"Read", "Edit", "Write", "NotebookEdit", "Bash", "Grep", "Glob"}
#: What the CLI has in each mode, whatever its version; older CLIs have further names of the list.
CORE = {
    "read": {"Read", "Grep", "Glob"},
    "edits": EDITING,
    "all": EDITING | {"WebFetch", "WebSearch", "Task"},
}

# A server with two tools over stdin and stdout, as the Model Context Protocol has it.
SERVER = """
import json, sys
tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("look", "change")]
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    version = message.get("params", {}).get("protocolVersion")
    about = {"name": "db", "version": "1"}
    replies = {
        "initialize": {"protocolVersion": version, "capabilities": {"tools": {}},
                       "serverInfo": about},
        "tools/list": {"tools": tools},
        "tools/call": {"content": [{"type": "text", "text": "what was looked up"}]},
    }
    reply = {"jsonrpc": "2.0", "id": message["id"], "result": replies.get(message["method"], {})}
    print(json.dumps(reply), flush=True)
"""


def init(task: cpr.Task) -> dict[str, Any]:
    """The first event of a task's stream that says what the CLI has."""
    lines = map(json.loads, task.stream_path.read_text().splitlines())
    return next(line for line in lines if line.get("subtype") == "init")


def tools(task: cpr.Task) -> set[str]:
    return set(init(task)["tools"])


def test_a_mode_has_its_tools_and_no_others(real_cpr: Cpr) -> None:
    done = {"prompt": script({"text": "done"})}
    own: list[dict[str, Any]] = [{**done, "id": mode, "permissions": mode} for mode in CORE]
    own.append({**done, "id": "none", "tools": []})
    answer = {"prompt": script({"so": {"n": 1}}), "schema": SCHEMA, "task_budget_usd": 1}
    own.append({**answer, "id": "label", "tools": []})
    own.append({**answer, "id": "read-schema", "permissions": "read"})
    rules = ["WebFetch(domain:example.org)", "Bash(pytest:*)", "Agent"]
    own.append({**done, "id": "wider", "permissions": "read", "allow": rules})
    own.append({**done, "id": "own", "tools": ["Read", "EnterWorktree", "NoSuchTool"]})
    own.append({**done, "id": "denied", "tools": ["Read", "Bash"], "deny": ["Bash"]})
    session = real_cpr.launch(prompts(*own), "-j", "4").wait(LIMIT_S)
    assert session.head["n_succeeded"] == len(own)
    seen = {task.id: tools(task) for task in session}
    for mode, core in CORE.items():
        assert core <= seen[mode] <= set(MODE_TOOLS[mode]), mode
    assert seen["none"] == set() and seen["label"] == {"StructuredOutput"}
    assert seen["read-schema"] == seen["read"] | {"StructuredOutput"}
    assert [task.result() for task in session if "schema" in own[task.num - 1]] == [{"n": 1}] * 2
    assert seen["wider"] == seen["read"] | {"WebFetch", "Bash", "Task"}
    assert seen["own"] == {"Read", "EnterWorktree"}
    assert seen["denied"] == {"Read"}


def test_the_sandbox_has_the_tools_of_edits() -> None:
    assert MODE_TOOLS["sandbox"] == MODE_TOOLS["edits"]


def test_the_tools_of_mcp_servers_are_there_and_under_the_rules(real_cpr: Cpr) -> None:
    (real_cpr.cwd / "server.py").write_text(SERVER)
    server = {"command": sys.executable, "args": [str(real_cpr.cwd / "server.py")]}
    config = json.dumps({"mcpServers": {"db": server}})
    look, change = ({"tool": f"mcp__db__{name}", "input": {}} for name in ("look", "change"))
    prompt = {"id": "one", "prompt": script(look, change, {"text": "done"}), "tools": ["Read"]}
    options = ("--allow", "mcp__db__look", f"--claude-args=--mcp-config={config}")
    (task,) = real_cpr.launch(prompts(prompt), *options).wait(LIMIT_S)
    assert tools(task) == {"Read", "mcp__db__look", "mcp__db__change"}
    assert "what was looked up" in task.stream_path.read_text()
    assert [denial["tool_name"] for denial in task.denials] == ["mcp__db__change"]


def test_subagents_have_no_tools_that_their_task_lacks(real_cpr: Cpr, api: ScriptedApi) -> None:
    inner = script({"text": "the subagent's words"})
    call = {"description": "help", "subagent_type": "helper", "prompt": inner}
    agents = {"helper": {"description": "helps", "prompt": "Help.", "tools": ["Read", "Bash"]}}
    prompt = {"prompt": script({"tool": "Task", "input": call}, {"text": "done"})}
    options = ("--tools", "Read,Task", f"--claude-args=--agents={json.dumps(agents)}")
    (task,) = real_cpr.launch(prompts(prompt), *options).wait(LIMIT_S)
    assert task.ok
    offered = {name for request in api.requests for name in request.tools}
    assert "Read" in offered and "Bash" not in offered


def test_notes_of_the_cli_lead_from_no_task_to_another(real_cpr: Cpr, tmp_path: Path) -> None:
    done = script({"text": "done"})
    (task,) = real_cpr.launch(prompts(done)).wait(LIMIT_S)
    assert "memory_paths" not in init(task)
    switch = ("--env", "CLAUDE_CODE_DISABLE_AUTO_MEMORY=0")
    (task,) = real_cpr.launch(prompts(done), *switch).wait(LIMIT_S)
    assert init(task)["memory_paths"]["auto"].startswith(str(tmp_path / "home"))


def test_a_launch_says_what_each_task_pays_before_its_prompt(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    done = {"prompt": script({"text": "done"})}
    elements = [{**done, "id": "a"}, {**done, "id": "b", "tools": []}]
    rows = json.loads(real_cpr.good("run", "--dry-run", "--json", stdin=prompts(*elements)))
    printed = real_cpr.good("run", "--wait", "-j", "1", stdin=prompts(*elements))
    line = next(line for line in printed.splitlines() if "tools: " in line)
    assert line == "   tools: differ between tasks; about 1,500 to 5,100 tokens before each prompt"
    first = [r for r in api.requests if r.path.endswith("/v1/messages")]
    for row, record in zip(rows, first, strict=True):
        paid = record.cache_read_tokens + record.cache_write_tokens
        assert abs(row["prefix_tokens"] / paid - 1) < 0.25, "newer CLIs may differ a little"


def test_messages_of_other_runs_arrive_only_where_settings_let_them_in(
    real_cpr: Cpr, api: ScriptedApi, tmp_path: Path
) -> None:
    wait = f"until [ -e '{tmp_path}/sent' ]; do sleep 0.1; done"
    listen = script({"tool": "Bash", "input": {"command": wait, "description": "wait"}},
                    {"text": "done"})  # fmt: skip
    listeners: list[dict[str, Any]] = [
        {"id": "closed", "prompt": listen, "claude_args": ["-n", "closed-one"]},
        {"id": "open", "prompt": listen, "claude_args": ["-n", "open-one"],
         "settings": {"crossSessionInbound": "accept"}},
    ]  # fmt: skip
    sends = [
        {"tool": "SendMessage", "input": {"to": name, "message": "a word", "summary": "word"}}
        for name in ("closed-one", "open-one")
    ]
    sender = {"id": "sender", "prompt": script(*sends, {"text": "done"}),
              "tools": ["SendMessage", "ListAgents"]}  # fmt: skip
    listening = real_cpr.launch(prompts(*listeners), "--permissions", "all", "-j", "2")
    api.wait_for(lambda _: len({r.conversation_id for r in api.requests}) == 2, LIMIT_S)
    (task,) = real_cpr.launch(prompts(sender), "--permissions", "all").wait(LIMIT_S)
    (tmp_path / "sent").touch()
    listening.wait(LIMIT_S)
    transcripts = (tmp_path / "home" / ".claude" / "projects").glob("*/*.jsonl")
    texts = {path.stem: path.read_text() for path in transcripts}
    arrived = {t.id: "cross-session-message" in texts[t.conversation_id] for t in listening}
    assert arrived == {"closed": False, "open": "SendMessage" in tools(task)}
