#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): what becomes of flags that stand twice, and of
# tool names that do not exist.
#
# Expected: a flag that is dropped, or a name that no tool has, is an error or at least a warning.
# Seen: of two --settings the last one alone counts: the first one's variable never reaches the
# shell of the Bash tool. But two --tools are united. And --tools with lower-case names leaves no
# tool at all. Each of these runs ends with success, exit 0, and nothing on stderr.
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
SHOW = {"command": "echo first=$FIRST second=$SECOND"}
FIRST, SECOND = (json.dumps({"env": {name: "yes"}}) for name in ("FIRST", "SECOND"))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The block that answers a request: a call of Bash if that is asked for, else a text."""
    messages = request["messages"]
    if "Show them." not in json.dumps(messages) or any(m["role"] == "assistant" for m in messages):
        return {"type": "text", "text": "Done."}
    return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": SHOW}


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


def events_of(prompt: str, *flags: str) -> list[dict[str, Any]]:
    """The events of a run, which must succeed without a word on stderr."""
    argv = [CLI, "-p", prompt, "--output-format", "stream-json", "--verbose", *flags]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    run = subprocess.run(argv, cwd=FOLDER, env=ENVIRONMENT, timeout=LIMIT_S, **streams)
    events = [json.loads(line) for line in run.stdout.splitlines()]
    if (events[-1]["subtype"], run.returncode, run.stderr) != ("success", 0, ""):
        sys.exit(f"{flags}: {events[-1]}, exit {run.returncode}, {run.stderr}")
    return events


def printed(*flags: str) -> str:
    """What the shell of the Bash tool prints."""
    events = events_of("Show them.", "--allowedTools", "Bash", *flags)
    user = next(event for event in events if event["type"] == "user")
    return user["message"]["content"][0]["content"]


def tools(*flags: str) -> list[str]:
    """The tools that the init line of a run names."""
    events = events_of("Hello.", *flags)
    return sorted(next(event["tools"] for event in events if event.get("subtype") == "init"))


seen = {
    "one --settings": printed("--settings", FIRST),
    "two --settings": printed("--settings", FIRST, "--settings", SECOND),
    "two --tools": tools("--tools", "Read", "--tools", "Bash"),
    "--tools read,bash": tools("--tools", "read,bash"),
}
for flags, value in seen.items():
    print(f"{flags}: {value}")
expected = ["first=yes second=", "first= second=yes", ["Bash", "Read"], []]
sys.exit(list(seen.values()) != expected)
PYTHON
