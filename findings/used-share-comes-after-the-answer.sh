#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): when and where a subscriber's run says how much
# of the usage window is used (rate_limit_event).
#
# Expected: the event stands before the answer whose HTTP headers carry the figure, as headers come
# before a body; and rate_limit_info.utilization is the share that those headers name.
# Seen: the event comes after the assistant's message. The utilization of rate_limit_info is missing
# as long as the API says "allowed", and is there only with a warning that names a threshold which
# is surpassed. The same figure stands in rate_limit_info.unifiedWindows.five_hour.utilization with
# both. So who reads the field at the top sees nothing until the window is nearly used up, and who
# wants to know the share before a second task starts must wait for more than the first message.
#
# Needs no account: the API is a stand-in on 127.0.0.1, and the token is a dummy. Exits with 0 while
# this behaves so.
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
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLI, FOLDER, LIMIT_S = sys.argv[1], Path(sys.argv[2]), 90
PREFIX = "anthropic-ratelimit-unified-"
RESET = str(int(time.time()) + 3600)
status_now = "allowed"


class Api(BaseHTTPRequestHandler):
    """The Messages API: a short answer, and in its headers how much is used."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stand-in"}
        message |= {"content": [], "usage": usage, "stop_reason": None, "stop_sequence": None}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        text = {"type": "text_delta", "text": "Done."}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        fields = {"status": status_now, "reset": RESET, "representative-claim": "five_hour"}
        fields |= {"5h-status": status_now, "5h-reset": RESET, "5h-utilization": "0.8"}
        if status_now != "allowed":
            fields["5h-surpassed-threshold"] = "0.75"
        for name, value in fields.items():
            self.send_header(PREFIX + name, value)
        self.end_headers()
        for event in (
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": text},
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
    "CLAUDE_CODE_OAUTH_TOKEN": "dummy",
}


def run(status: str) -> tuple[list[str], dict]:
    """The types of the events in their order, and what the last rate_limit_event says."""
    global status_now
    status_now = status
    argv = [CLI, "-p", "Say it.", "--output-format", "stream-json", "--verbose", "--tools", ""]
    done = subprocess.run(
        argv, cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=LIMIT_S, check=True,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    infos = [event["rate_limit_info"] for event in events if event["type"] == "rate_limit_event"]
    kinds = [event["type"] for event in events]
    return [kind for kind in kinds if kind in ("assistant", "rate_limit_event", "result")], infos[-1]


seen = {}
for status in ("allowed", "allowed_warning"):
    order, info = run(status)
    window = info["unifiedWindows"]["five_hour"]["utilization"]
    seen[status] = (order[:2], info.get("utilization"), window)
    print(f"{status:16} {' < '.join(order):44} utilization {info.get('utilization')}, window {window}")
assert seen == {
    "allowed": (["assistant", "rate_limit_event"], None, 0.8),
    "allowed_warning": (["assistant", "rate_limit_event"], 0.8, 0.8),
}, "It behaves otherwise now."
PYTHON
