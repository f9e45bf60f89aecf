#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): what the model is told of the sandbox.
#
# Expected: two runs of one prompt in one folder send the same first request, so the second reads all of
# it from the prompt cache. Without the sandbox they do.
# Seen: with the sandbox a message of some 7,000 characters follows the prompt. It describes the sandbox,
# is marked for the cache, and lists the folders that can't be written. Among them is the run's own,
# whose name holds the session's id. So the message differs in every run: each pays to write it to the
# cache, and no other run ever reads it. Tools, system prompt and prompt stay alike.
#
# Needs bubblewrap and socat, and no account: the API is a stand-in on 127.0.0.1. Exits with 0 while
# this behaves so.
set -euo pipefail
for program in bwrap socat; do
    command -v "$program" >/dev/null || { echo "needs $program" >&2; exit 2; }
done
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
PROMPT = "Say hello."
requests: list[dict[str, Any]] = []


class Api(BaseHTTPRequestHandler):
    """The Messages API: answers each request with one text, and keeps the request."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": f"msg_{uuid4().hex}", "type": "message", "role": "assistant"}
        message |= {"model": "stand-in", "content": [], "usage": usage}
        message |= {"stop_reason": None, "stop_sequence": None}
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello."}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
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
    **dict.fromkeys((*switches, "IS_SANDBOX", "CLAUDE_CODE_DISABLE_AUTO_MEMORY"), "1"),
    **{"PATH": os.environ["PATH"], "HOME": str(FOLDER), "TMPDIR": str(FOLDER)},
    "CLAUDE_CONFIG_DIR": str(FOLDER / ".claude"),
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
    "ANTHROPIC_API_KEY": "dummy",
}


def first_request(*, sandbox: bool) -> tuple[dict[str, Any], str]:
    """The request with which a new run begins, and the id of its session."""
    requests.clear()
    settings = {"sandbox": {"enabled": sandbox, "autoAllowBashIfSandboxed": sandbox}}
    argv = [CLI, "-p", PROMPT, "--output-format", "json", "--settings", json.dumps(settings)]
    argv += ["--permission-mode", "acceptEdits"]
    run = subprocess.run(
        argv, cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=LIMIT_S, check=True,
    )
    return requests[0], json.loads(run.stdout)["session_id"]


def compare(*, sandbox: bool) -> dict[str, bool]:
    """Which parts of the first requests of two equal runs are alike."""
    (one, one_id), (other, other_id) = (first_request(sandbox=sandbox) for _ in range(2))
    alike = {part: one[part] == other[part] for part in ("tools", "system", "messages")}
    first, second = json.dumps(one["messages"]), json.dumps(other["messages"])
    alike["messages but for the session's id"] = first.replace(one_id, other_id) == second
    name = "with the sandbox" if sandbox else "without the sandbox"
    n_characters = len(first.partition(PROMPT)[2])
    print(f"{name}: {alike}, {n_characters} characters after the prompt")
    return alike


compare(sandbox=False)  # A first run in a folder may differ from later ones.
without, with_sandbox = compare(sandbox=False), compare(sandbox=True)
same = dict.fromkeys(without, True)
sys.exit(without != same or with_sandbox != {**same, "messages": False})
PYTHON
