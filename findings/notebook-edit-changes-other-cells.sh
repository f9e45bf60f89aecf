#!/usr/bin/env bash
# Claude Code 2.1.332 (in claude-agent-sdk 0.2.189): NotebookEdit changes one cell of a notebook.
#
# Expected: the other cells stay as they are, with their stored outputs.
# Seen: their stored numbers change. The tool reads the whole notebook as JavaScript values and writes
# it anew: in the output of a cell that nobody touched, an id of 19 digits becomes another one, 1.0
# becomes 1, and the keys "10", "2" change places. The same happens to its metadata. The tool reports
# success. A notebook that holds data (application/json, a chart, a widget's state) shows other values
# than the ones its code has computed, and its diff shows lines far from the edit.
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
NOTEBOOK = FOLDER / "example.ipynb"
DATA = {"id": 1234567890123456789, "share": 1.0, "counts": {"10": 5, "2": 7}}


def answer(n_answers: int) -> dict[str, Any]:
    """The block that answers a request: read the notebook, change its second cell, say so."""
    if n_answers == 2:
        return {"type": "text", "text": "Changed."}
    call = {"type": "tool_use", "id": f"toolu_{n_answers}"}
    if n_answers == 0:
        return call | {"name": "Read", "input": {"file_path": str(NOTEBOOK)}}
    edit = {"notebook_path": str(NOTEBOOK), "cell_id": "second", "new_source": "print('new')"}
    return call | {"name": "NotebookEdit", "input": edit}


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


def cell(name: str, source: str, outputs: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    """A code cell that has run."""
    return {
        **{"cell_type": "code", "id": name, "metadata": metadata, "source": source},
        **{"execution_count": 1, "outputs": outputs},
    }


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

output = {"output_type": "display_data", "metadata": {}, "data": {"application/json": DATA}}
cells = [cell("first", "show(counts)", [output], scale=1.0), cell("second", "print('old')", [])]
notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
NOTEBOOK.write_text(json.dumps(notebook, indent=1))
argv = [CLI, "-p", "Change the second cell.", "--permission-mode", "acceptEdits"]
argv += ["--output-format", "stream-json", "--verbose"]
done = subprocess.run(
    argv, cwd=FOLDER, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    timeout=LIMIT_S, check=True,
)
events = [json.loads(line) for line in done.stdout.splitlines()]
results = [b for e in events if e["type"] == "user" for b in e["message"]["content"]]
print("the tool says:", results[-1]["content"])
first, second = json.loads(NOTEBOOK.read_text())["cells"]
before = json.dumps([DATA, cells[0]["metadata"]])
after = json.dumps([first["outputs"][0]["data"]["application/json"], first["metadata"]])
print("output and metadata of the other cell, before:", before)
print("output and metadata of the other cell, after: ", after)
is_edited = second["source"] == "print('new')" and not results[-1].get("is_error")
CHANGED = '[{"id": 1234567890123456800, "share": 1, "counts": {"2": 7, "10": 5}}, {"scale": 1}]'
sys.exit(not (is_edited and first["source"] == cells[0]["source"] and after == CHANGED))
PYTHON
