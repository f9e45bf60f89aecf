#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): --max-budget-usd speaks to the model.
#
# Expected: the flag only ends a run that has cost too much, so it changes nothing of what is sent.
# Seen: the first request says what the run has cost, what it may cost, and what is left ("USD budget:
# ..."). So two runs of one prompt with different limits are not the same experiment: their models read
# different words. Without the flag nothing is said.
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
PROMPT = "Say hello."
WORDS = "USD budget"
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


def budget_words(*flags: str) -> list[list[str]]:
    """The lines about a budget in each request of a new run."""
    requests.clear()
    argv = [CLI, "-p", PROMPT, "--output-format", "json", *flags]
    subprocess.run(
        argv, cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=LIMIT_S, check=True,
    )
    said = []
    for request in requests:
        texts = json.dumps([request.get("system"), request["messages"]]).split("\\n")
        said.append([text[text.index(WORDS) :][:60] for text in texts if WORDS in text])
    return said


without = budget_words()
small, large = (budget_words("--max-budget-usd", limit) for limit in ("1.25", "80"))
print("without the flag:", without)
print("--max-budget-usd 1.25:", small)
print("--max-budget-usd 80:", large)
has_words = all(any(lines) for lines in (small, large))
sys.exit(any(map(any, without)) or not has_words or small == large)
PYTHON
