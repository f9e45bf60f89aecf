#!/usr/bin/env bash
# ipykernel 7.0.1: a thread that a cell has started updates a display and sends through a comm.
#
# Expected: both arrive, as with ipykernel 6 and with 7.1 and later.
# Seen: nothing of a plain thread arrives: the kernel looks for the cell's message in a context
# variable, and a new thread has an empty context. The error ends the thread. If the thread runs in
# a copy of the cell's context (`contextvars.copy_context().run`), both arrive with this version too.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jupyter_client ipykernel==7.0.1
export HOME="$folder" JUPYTER_PATH="$folder/venv/share/jupyter" IPYTHONDIR="$folder/ipython"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from jupyter_client.manager import start_new_kernel

CELL = """
import contextvars, threading, comm
from IPython.display import display
handle = display("before", display_id=True)
channel = comm.create_comm(target_name="example")
def update():
    handle.update("after")
    channel.send("words")
run = contextvars.copy_context().run if {in_context} else (lambda function: function())
thread = threading.Thread(target=run, args=[update])
thread.start()
thread.join()
"""


def arrived(client: object, *, in_context: bool) -> list[str]:
    """The types of the messages that the thread of a cell has sent to the client."""
    types: list[str] = []
    client.execute_interactive(  # type: ignore[attr-defined]
        CELL.format(in_context=in_context),
        timeout=60,
        output_hook=lambda message: types.append(message["msg_type"]),
    )
    return [name for name in types if name in ("update_display_data", "comm_msg")]


manager, client = start_new_kernel()
try:
    bare, in_context = arrived(client, in_context=False), arrived(client, in_context=True)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
print(f"of a plain thread:                 {bare}")
print(f"of a thread in the cell's context: {in_context}")
sys.exit((bare, in_context) != ([], ["update_display_data", "comm_msg"]))
PYTHON
