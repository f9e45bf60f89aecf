"""A served task that is cancelled ends alone, and what a task leaves is swept alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = [pytest.mark.real_cli, pytest.mark.slow]
OPTIONS = ("-j1", "--share-process", "--permissions", "all")
#: An MCP server without tools that leaves its pid.
SERVER = """
import json, os, sys
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file)
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        version = message.get("params", {}).get("protocolVersion")
        about = {"protocolVersion": version, "capabilities": {"tools": {}},
                 "serverInfo": {"name": "idle", "version": "1"}}
        result = about if message["method"] == "initialize" else {"tools": []}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def element(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "prompt": script(*steps, say=f"Do {name}.")}


def began(session: cpr.Session, name: str) -> Callable[[], bool]:
    """Whether a process was given this task."""
    path = session.path / "journal.jsonl"
    words = ('"intent"', json.dumps(name), '"process"')
    return lambda: any(
        all(word in line for word in words) for line in path.read_text("utf-8").splitlines()
    )


def test_a_cancel_right_behind_the_prompt_or_in_a_storm_ends_one_task(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    # An interrupt that comes too early is acknowledged and lost, so the moments matter.
    delays_s = {"at-once": 0.0, "soon": 0.005, "later": 0.02}
    hangs = [element(name, {"text": "never", "wait": "never"}) for name in delays_s]
    storm = element("storm", {"text": "", "fail": {"status": 429, "headers": {"retry-after": "1"}}})
    last = element("last", {"text": "the last"})
    session = real_cpr.launch(prompts(*hangs, storm, last), *OPTIONS)
    for name, delay_s in delays_s.items():
        session.wait_until(began(session, name), LIMIT_S, name)
        time.sleep(delay_s)
        session.task(name).cancel()
    session.wait_until(began(session, "storm"), LIMIT_S, "the storm")
    api.wait_for(lambda record: record.status == 429, LIMIT_S)
    session.task("storm").cancel()
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["cancelled"] * 4 + ["succeeded"]
    assert session.task("last").text == "the last"
    asked = [record for record in api.requests if "Do last." in record.last_user_text]
    assert len(asked) == 1 and not [r for r in asked if "Do storm." in r.last_user_text]


def test_what_a_task_leaves_is_swept_while_the_mcp_server_lives(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    work = real_cpr.cwd
    (work / "server.py").write_text(SERVER)
    pids = work / "servers"
    server = {"command": sys.executable, "args": [str(work / "server.py"), str(pids)]}
    (work / "servers.json").write_text(json.dumps({"mcpServers": {"idle": server}}))
    leaves = "setsid sh -c 'echo $$ > left.pid; exec sleep 600' > /dev/null 2>&1 &"
    leaves += " until [ -s left.pid ]; do sleep 0.05; done"
    call = {"tool": "Bash", "input": {"command": leaves, "description": "leave it"}}
    session = real_cpr.launch(
        prompts(
            element("leaves", call, {"text": "left"}),
            element("next", {"text": "done", "wait": "swept"}),
        ),
        *OPTIONS,
        "--mcp-servers",
        "servers.json",
    )
    api.wait_for(lambda record: "Do next." in record.last_user_text, LIMIT_S)
    left = work / "left.pid"
    session.wait_until(lambda: not lives(int(left.read_text("ascii"))), LIMIT_S, "the sweep")
    (pid,) = map(int, pids.read_text("ascii").split())  # of one process, which serves both
    assert lives(pid)
    api.release("swept")
    assert [task.outcome for task in session.wait(LIMIT_S)] == ["succeeded"] * 2


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
