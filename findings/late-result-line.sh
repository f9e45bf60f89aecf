#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): the result line of a turn that leaves something
# at work in the background.
#
# Expected: a turn's result line ends the turn: it comes before the init line of the next turn.
# Seen: it does so where a command of the Bash tool is at work. Where an agent is at work, the line
# is held back until the agent has ended and the next turn, which its end starts, has been answered:
# then both result lines come together. So whoever waits for the result line to learn that the
# prompt is answered waits for the agent, too, and what stands between an init line and a result
# line is not one turn.
#
# Needs no account: the API is a stand-in on 127.0.0.1. Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps claude-agent-sdk==0.2.189
cli=$(echo "$folder"/venv/lib/python3*/site-packages/claude_agent_sdk/_bundled/claude)
"$folder/venv/bin/python" - "$cli" "$folder" <<'PYTHON'
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

CLI, FOLDER, LIMIT_S = sys.argv[1], Path(sys.argv[2]), 90
# How long what is at work waits for the first result line, before it ends without one.
PATIENCE_S = 10
GATE = FOLDER / "gate"  # A pipe: the command ends with the first line in it.
COMMAND = {"command": f"read -t {PATIENCE_S} < '{GATE}'", "run_in_background": True}
AGENT = {"description": "work", "prompt": "Work.", "subagent_type": "general-purpose"}
result_seen = threading.Event()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The block that answers a request: a call, a text, and a text after the notification."""
    messages = json.dumps(request["messages"])
    n_answers = sum(message["role"] == "assistant" for message in request["messages"])
    if "Start" not in messages:  # The agent's own request.
        result_seen.wait(PATIENCE_S)
        return {"type": "text", "text": "The work is done."}
    if n_answers:
        return {"type": "text", "text": "Started." if n_answers == 1 else "Noted."}
    call = {"type": "tool_use", "id": "toolu_1"}
    if "Start a command." in messages:
        return call | {"name": "Bash", "input": COMMAND}
    return call | {"name": "Task", "input": AGENT | {"run_in_background": True}}


class Api(BaseHTTPRequestHandler):
    """The Messages API: streams one block as the answer to each request."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        block = answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if block["type"] == "text":
            start, reason = block | {"text": ""}, "end_turn"
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start, reason = block | {"input": {}}, "tool_use"
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": f"msg_{uuid4().hex}", "type": "message", "role": "assistant"}
        message |= {"model": "stand-in", "content": [], "usage": usage}
        message |= {"stop_reason": None, "stop_sequence": None}
        end = {"stop_reason": reason, "stop_sequence": None}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": usage},
            {"type": "message_stop"},
        ):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
switches = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER")
ENVIRONMENT = {
    **dict.fromkeys((*switches, "IS_SANDBOX"), "1"),
    **{"PATH": os.defpath, "HOME": str(FOLDER), "TMPDIR": str(FOLDER)},
    "CLAUDE_CONFIG_DIR": str(FOLDER / ".claude"),
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
    "ANTHROPIC_API_KEY": "dummy",
}


def order(prompt: str) -> list[str]:
    """The init lines, texts and result lines of a run, in their order."""
    argv = [CLI, "-p", prompt, "--allowedTools", "Bash"]
    argv += ["--output-format", "stream-json", "--verbose"]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    run = subprocess.Popen(argv, cwd=FOLDER, env=ENVIRONMENT, stdin=null, stdout=pipe, text=True)
    limit = threading.Timer(LIMIT_S, run.kill)
    limit.start()
    lines = []
    for line in run.stdout or ():
        event = json.loads(line)
        if event["type"] == "assistant":
            content = event["message"]["content"]
            lines += [block["text"] for block in content if block["type"] == "text"]
        elif event.get("subtype") == "init":
            lines.append("init")
        elif event["type"] == "result":
            lines.append(f"result {event['result']}")
            if not result_seen.is_set():
                result_seen.set()  # Now what is at work may end.
                os.write(gate, b"\n")
    limit.cancel()
    run.wait()
    return lines


os.mkfifo(GATE)
gate = os.open(GATE, os.O_RDWR)  # For reading, too: so it blocks nobody.
command = order("Start a command.")
result_seen.clear()
agent = order("Start an agent.")
print(f"a command at work: {', '.join(command)}")
print(f"an agent at work:  {', '.join(agent)}")
first = ["init", "Started.", "result Started.", "init", "Noted.", "result Noted."]
late = ["init", "Started.", "The work is done.", "init", "Noted."]
sys.exit((command, agent) != (first, [*late, "result Started.", "result Noted."]))
PYTHON
