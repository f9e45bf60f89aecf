#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): a variable is set for a run, and ~/.bashrc exports
# one of the same name.
#
# Expected: as in any program that a script starts, the run's value counts, for all that the run starts.
# Seen: its hooks have the run's value, but the commands of its Bash tool, and what they start, have
# that of ~/.bashrc. Also with "env" in --settings, with --safe-mode and with --bare. PATH alone is that
# of the run. So several runs with CUDA_VISIBLE_DEVICES 0, 1, 2 … may all work on one device, and a
# check outside of the agent sees other variables than the agent did. A script that CLAUDE_ENV_FILE
# names goes before ~/.bashrc, and so gives each run its own value.
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
HOOK_FILE = FOLDER / "hook.txt"
COMMAND = "python3 -c 'import os; print(os.environ[\"DEVICE\"], os.environ[\"PATH\"])'"


def answer(n_answers: int) -> dict[str, Any]:
    """The block that answers a request: first a call of Bash, then a text."""
    if n_answers:
        return {"type": "text", "text": "Done."}
    return {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": COMMAND}}


class Api(BaseHTTPRequestHandler):
    """The Messages API: streams one block as the answer to each request."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        block = answer(sum(message["role"] == "assistant" for message in request["messages"]))
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

HOOK = {"type": "command", "command": f"echo $DEVICE > '{HOOK_FILE}'"}
HOOKS = {"hooks": {"PreToolUse": [{"hooks": [HOOK]}]}}


def seen(*flags: str, **variables: str) -> list[str]:
    """The device and PATH that a command of the Bash tool sees, in a run that ends well."""
    argv = [CLI, "-p", "Run it.", "--allowedTools", "Bash", *flags]
    argv += ["--output-format", "stream-json", "--verbose"]
    done = subprocess.run(
        argv, cwd=FOLDER, env={**ENVIRONMENT, "DEVICE": "1", **variables}, check=True,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    results = [b for e in events if e["type"] == "user" for b in e["message"]["content"]]
    return str(results[-1]["content"]).split()


bashrc, script = FOLDER / ".bashrc", FOLDER / "variables.sh"
script.write_text("export DEVICE=1\n")
without = seen()
bashrc.write_text("export DEVICE=0\nexport PATH=/from/bashrc:$PATH\n")
plain = seen("--settings", json.dumps(HOOKS))
in_hook = HOOK_FILE.read_text().strip()
cases = {
    "settings": seen("--settings", json.dumps({"env": {"DEVICE": "1"}})),
    "safe mode": seen("--safe-mode"),
    "bare": seen("--bare"),
}
by_script = seen(CLAUDE_ENV_FILE=str(script))
print("the run says DEVICE=1; without a ~/.bashrc its command sees", without)
print("~/.bashrc exports DEVICE=0 and another PATH: the command sees", plain, "the hook", in_hook)
print("likewise with", cases)
print("with CLAUDE_ENV_FILE the command sees", by_script)
device_0, device_1 = ["0", os.defpath], ["1", os.defpath]
is_so = without == by_script == device_1 and in_hook == "1"
sys.exit(not is_so or any(pair != device_0 for pair in (plain, *cases.values())))
PYTHON
