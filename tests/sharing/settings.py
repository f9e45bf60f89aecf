"""What permissions, the model, MCP servers and tools that were loaded leave to the next task."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from testkit.recording import FALLBACK, LACKING
from testkit.served import Line, Served

from sharing.bench import ALL_TOOLS, NO_TOOL, Bench, Cells, bash, init_of, outputs, says

# A server that counts, over stdin and stdout, as the Model Context Protocol has it.
_COUNTING_SERVER = """
import json, os, sys
n = 0
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    n += message["method"] == "tools/call"
    version = message.get("params", {}).get("protocolVersion")
    replies = {
        "initialize": {"protocolVersion": version, "capabilities": {"tools": {}},
                       "serverInfo": {"name": "counter", "version": "1"}},
        "tools/list": {"tools": [{"name": "count", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": f"pid {os.getpid()} n {n}"}]},
    }
    reply = {"jsonrpc": "2.0", "id": message["id"], "result": replies.get(message["method"], {})}
    print(json.dumps(reply), flush=True)
"""


def permissions(bench: Bench) -> Cells:
    """A rule that a granted question brings, and a permission mode."""
    asking = ("--permission-prompt-tool", "stdio")
    with bench.serve(*asking) as served:
        assert _touch(served, "one", grant=True), "the first call is asked about"
        served.clear()
        asked = _touch(served, "two", grant=False)
        served.request("set_permission_mode", mode="acceptEdits")
        served.ask("Hello.")
        mode = init_of(served.clear())["permissionMode"]
    return {
        "a permission granted for the session": "gone" if asked else "stays: nobody is asked",
        "set_permission_mode": "stays, `init` shows it" if mode == "acceptEdits" else "gone",
    }


def _touch(served: Served, name: str, *, grant: bool) -> bool:
    """Has a command run that no rule allows; returns whether the CLI asks."""
    served.send(says(bash(f"truncate -s 0 {name}")))
    asks = False
    while True:
        last = served.read_until(lambda line: line["type"] in ("result", "control_request"))[-1]
        if last["type"] == "result":
            return asks
        asks = True
        granted: Line = {"behavior": "allow", "updatedInput": last["request"]["input"]}
        if grant:
            rules = [{"toolName": "Bash", "ruleContent": "truncate:*"}]
            rule = {"type": "addRules", "rules": rules, "behavior": "allow"}
            granted["updatedPermissions"] = [{**rule, "destination": "session"}]
        served.answer(last, granted)


def models(bench: Bench) -> Cells:
    """A model that was set, and one that fell back."""
    with bench.serve("--model", LACKING, "--fallback-model", FALLBACK) as served:
        served.ask("Hello.")
        assert bench.api.requests[-1].model == FALLBACK
        served.clear()
        n_asked = len(bench.api.bodies)
        served.ask("Hello.")
        first = bench.api.bodies[n_asked]["model"]
        served.request("set_model", model=FALLBACK)
        model = init_of(served.clear())["model"]
    return {
        "the fallback model": "the first model is asked again" if first == LACKING else "stays",
        "set_model": "stays, `init` shows it" if model == FALLBACK else "gone",
    }


def mcp_server(bench: Bench) -> Cells:
    """The process and the count of an MCP server; both after a reconnection, too."""
    program = bench.home / "counter.py"
    bench.write(program, _COUNTING_SERVER)
    servers = {"counter": {"command": sys.executable, "args": [str(program)]}}
    flags = ("--mcp-config", json.dumps({"mcpServers": servers}), "--strict-mcp-config")
    with bench.serve(ALL_TOOLS, *flags) as served:
        counts = [_count(served)]
        served.clear()
        counts.append(_count(served))
        response = served.request("mcp_reconnect", serverName="counter")
        served.clear()
        counts.append(_count(served))
    pids, numbers = zip(*counts, strict=True)
    assert response["subtype"] == "success", response
    return {
        "an MCP server": "goes on with its state"
        if pids[0] == pids[1] and numbers[:2] == (1, 2)
        else "begins anew",
        "an MCP server after `mcp_reconnect`": "begins anew"
        if pids[2] != pids[1] and numbers[2] == 1
        else "goes on with its state",
    }


def _count(served: Served) -> tuple[int, int]:
    said = outputs(served.ask(says({"tool": "mcp__counter__count", "input": {}})))[-1]
    found = re.search(r"pid (\d+) n (\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


def loaded_tools(bench: Bench) -> Cells:
    """A deferred tool that ToolSearch has loaded."""
    with bench.serve(ALL_TOOLS) as served:
        search = {"tool": "ToolSearch", "input": {"query": "select:NotebookEdit"}}
        if "No such tool" in outputs(served.ask(says(search)))[-1]:
            return {"tools loaded by ToolSearch": NO_TOOL}
        assert "NotebookEdit" in bench.api.requests[-1].tools
        served.clear()
        served.ask("Hello.")
        stays = "NotebookEdit" in bench.api.requests[-1].tools
    return {"tools loaded by ToolSearch": "stay" if stays else "gone"}


def task_list(bench: Bench) -> Cells:
    """The agent's list of what is to do."""
    todo = {"subject": "PLANNED", "description": "to do", "activeForm": "Doing"}
    with bench.serve(ALL_TOOLS) as served:
        first = outputs(served.ask(says({"tool": "TaskCreate", "input": todo})))[-1]
        if "No such tool" in first:
            return {"the list of tasks (TaskCreate)": NO_TOOL}
        assert "PLANNED" in _listed(served)
        served.clear()
        stays = "PLANNED" in _listed(served)
    return {"the list of tasks (TaskCreate)": "stays" if stays else "gone"}


def _listed(served: Served) -> str:
    return outputs(served.ask(says({"tool": "TaskList", "input": {}})))[-1]


def read_files(bench: Bench) -> Cells:
    """Whether a file may be written because the task before has read it."""
    file = bench.work / "file"
    bench.write(file, "x\n")
    write: dict[str, Any] = {"tool": "Write", "input": _writing(file)}
    read = {"tool": "Read", "input": {"file_path": str(file)}}
    with bench.serve(ALL_TOOLS) as served:
        refused = "read" in outputs(served.ask(says(write)))[-1]
        if not refused:
            return {"which files were read": "nothing depends on it"}
        served.clear()
        assert "read" not in outputs(served.ask(says(read, write)))[-1]
        served.clear()
        refused = "read" in outputs(served.ask(says(write)))[-1]
    return {"which files were read": "gone" if refused else "stays"}


def _writing(file: Path) -> dict[str, str]:
    return {"file_path": str(file), "content": "y\n"}
