#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): --max-turns stops a prompt while a command of
# its Bash tool runs in the background.
#
# Expected: the run ends as it does without such a command: a result line error_max_turns, exit 1.
# Seen: it writes that line, waits for the command, and is woken when the command has ended. The
# model gets another turn and says "Noted.". Then the last result line is "success" and the exit
# code 0, though the work that the prompt asked for was cut off: whoever reads only the end takes
# it for done.
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
GATE = FOLDER / "gate"  # A pipe: the command ends with the first line in it, or after a minute.
WAIT = {"command": f"read -t 60 < '{GATE}'", "run_in_background": True}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The block that answers a request: first a call of Bash, then a text."""
    if any(message["role"] == "assistant" for message in request["messages"]):
        return {"type": "text", "text": "Noted."}
    command = WAIT if "Wait." in json.dumps(request["messages"]) else {"command": "true"}
    return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": command}


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


def outcome(prompt: str) -> tuple[list[str], int]:
    """The subtypes of a run's result lines, and its exit code."""
    argv = [CLI, "-p", prompt, "--max-turns", "1", "--allowedTools", "Bash"]
    argv += ["--output-format", "stream-json", "--verbose"]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    run = subprocess.Popen(argv, cwd=FOLDER, env=ENVIRONMENT, stdin=null, stdout=pipe, text=True)
    limit = threading.Timer(LIMIT_S, run.kill)
    limit.start()
    subtypes = []
    for line in run.stdout or ():
        event = json.loads(line)
        if event["type"] == "result":
            subtypes.append(event["subtype"])
            if prompt == "Wait." and len(subtypes) == 1:
                os.write(gate, b"\n")
    limit.cancel()
    return subtypes, run.wait()


os.mkfifo(GATE)
gate = os.open(GATE, os.O_RDWR)  # For reading, too: so it blocks nobody.
plain, woken = outcome("Run it."), outcome("Wait.")
print(f"command in the foreground: result lines {plain[0]}, exit {plain[1]}")
print(f"command in the background: result lines {woken[0]}, exit {woken[1]}")
sys.exit((plain, woken) != ((["error_max_turns"], 1), (["error_max_turns", "success"], 0)))
PYTHON
