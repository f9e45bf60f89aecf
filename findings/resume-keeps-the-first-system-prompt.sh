#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): which flags of its first run a conversation keeps
# when --resume goes on with it, and what becomes of new ones.
#
# Expected: flags are a run's own: without them a resumed run has the defaults, with others the others.
# Seen: the system prompt and the model of the first run stay, without flags; effort, tools and the
# permission mode do not. And the system prompt can't be changed any more: another --system-prompt or
# --append-system-prompt is dropped, also with --fork-session, and even if the first run had none. The
# run ends with success and nothing on stderr. Another --model, --effort or --tools does count. So a
# comparison of system prompts must begin a new conversation for each.
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
    **dict.fromkeys((*switches, "IS_SANDBOX"), "1"),
    **{"PATH": os.defpath, "HOME": str(FOLDER), "TMPDIR": str(FOLDER)},
    "CLAUDE_CONFIG_DIR": str(FOLDER / ".claude"),
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
    "ANTHROPIC_API_KEY": "dummy",
}


def run(*flags: str) -> dict[str, Any]:
    """What a run without trouble sends first: its words, model, effort and tools; and its mode."""
    requests.clear()
    argv = [CLI, "-p", "Say hello.", "--output-format", "stream-json", "--verbose", *flags]
    done = subprocess.run(
        argv, cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT_S, check=True,
    )
    assert not done.stderr, done.stderr
    system = json.dumps([requests[0]["system"], requests[0]["messages"]])
    init = next(e for e in map(json.loads, done.stdout.splitlines()) if e.get("subtype") == "init")
    return {
        "words": [word for word in ("ZEBRA", "OKAPI") if word in system],
        "model": requests[0]["model"],
        "effort": requests[0].get("output_config", {}).get("effort"),
        "tools": sorted(tool["name"] for tool in requests[0]["tools"]),
        "mode": init["permissionMode"],
    }


def resumed(first: tuple[str, ...], *flags: str) -> dict[str, Any]:
    """The same of a run that goes on with the conversation of another one."""
    conversation = str(uuid4())
    run("--session-id", conversation, *first)
    return run("--resume", conversation, *flags)


append, replace = "--append-system-prompt", "--system-prompt"
kept = {
    "another": resumed((append, "ZEBRA"), append, "OKAPI")["words"],
    "another, in a fork": resumed((append, "ZEBRA"), append, "OKAPI", "--fork-session")["words"],
    "one in place of all": resumed((replace, "ZEBRA"), replace, "OKAPI")["words"],
    "none": resumed((replace, "ZEBRA"))["words"],
    "one where there was none": resumed((), append, "OKAPI")["words"],
}
for case, words in kept.items():
    print(f"resumed with {case}: the model reads {words}")

FLAGS = ("--model", "claude-sonnet-4-6", "--effort", "low", "--tools", "Read")
OTHERS = ("--model", "claude-opus-4-6", "--effort", "high", "--tools", "Edit")
MODE = ("--permission-mode", "acceptEdits")
fresh, first = run(), run(*FLAGS, *MODE)
bare, other = resumed((*FLAGS, *MODE)), resumed(FLAGS, *OTHERS)
names = ("model", "effort", "tools", "mode")
survives = {name: bare[name] == first[name] for name in names}
print("resumed without flags, keeps:", survives)
print("resumed with others, has:", {name: other[name] for name in names[:3]})
new_run = run(*OTHERS)
OLD = [["ZEBRA"], ["ZEBRA"], ["ZEBRA"], ["ZEBRA"], []]
sys.exit(
    list(kept.values()) != OLD
    or survives != {"model": True, "effort": False, "tools": False, "mode": False}
    or any(other[name] != new_run[name] for name in names[:3])
    or any(first[name] == fresh[name] for name in names)
)
PYTHON
