#!/usr/bin/env bash
# ipykernel 7.4.0 with nest-asyncio2 1.7.4: a message of a widget arrives while a cell waits.
#
# Expected: a cell that runs the kernel's own loop (nested) serves what arrives, as `await` does.
# Seen: with `await` the message is handled at once. With the nested loop it is handled only after
# the cell, although the loop runs and serves other tasks: all of the shell's handles share one
# context, which the cell has entered, and nest-asyncio2 puts off a handle whose context is in use.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jupyter_client ipykernel==7.4.0 nest-asyncio2==1.7.4
export HOME="$folder" JUPYTER_PATH="$folder/venv/share/jupyter" IPYTHONDIR="$folder/ipython"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

from jupyter_client.manager import start_new_kernel

SETUP = """
import asyncio, nest_asyncio2, time
from comm import get_comm_manager
handled = []
def opened(comm, message):
    comm.on_msg(lambda message: handled.append(time.monotonic()))
get_comm_manager().register_target("example", opened)
"""
WAITS = {
    "await": "await asyncio.sleep(4)",
    "nested": "nest_asyncio2.apply(); asyncio.get_running_loop().run_until_complete(asyncio.sleep(4))",
}


def handled_in_wait(wait: str) -> str:
    """Whether the kernel handled a message that was sent in the first second of a wait of 4 s."""
    manager, client = start_new_kernel()
    try:
        client.execute_interactive(SETUP, timeout=60)
        opening = {"comm_id": "1", "target_name": "example", "data": {}}
        client.shell_channel.send(client.session.msg("comm_open", opening))
        client.execute_interactive("handled.clear()", timeout=60)
        asked = client.execute(f"print('starts'); {wait}; ended = time.monotonic()")
        while True:  # until the cell runs
            message = client.get_iopub_msg(timeout=60)
            if message["msg_type"] == "stream":
                break
        time.sleep(0.5)
        client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": "1", "data": {}}))
        while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != asked:
            pass
        words: list[str] = []
        client.execute_interactive(
            "print('during' if handled and handled[0] < ended - 1 else 'after')",
            timeout=60,
            output_hook=lambda message: words.append(message["content"].get("text", "")),
        )
        return "".join(words).strip()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


seen = {name: handled_in_wait(wait) for name, wait in WAITS.items()}
for name, when in seen.items():
    print(f"{name}: the message is handled {when} the wait")
sys.exit(seen != {"await": "during", "nested": "after"})
PYTHON
