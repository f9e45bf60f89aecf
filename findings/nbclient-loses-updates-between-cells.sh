#!/usr/bin/env bash
# nbclient 0.11.0 with ipykernel 7.4.0: a thread of the kernel updates a display.
#
# Expected: the executed notebook holds the display's last state, whenever the update comes.
# Seen: an update that comes while the next cell runs is kept. One that comes between two cells, or
# after the last one, is lost: nbclient reads the kernel's messages only while a cell runs, and
# ignores those whose parent is not that cell. So a progress display may stay "running" in a
# notebook that `jupyter nbconvert --execute` or nbclient has run, even if more cells follow.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nbclient==0.11.0 ipykernel==7.4.0 nbformat
export HOME="$folder" JUPYTER_PATH="$folder/venv/share/jupyter" IPYTHONDIR="$folder/ipython"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import nbformat
from nbclient import NotebookClient

FIRST = """
import threading, time
from IPython.display import display
handle = display("before", display_id=True)
def update():
    time.sleep(1)
    handle.update("after")
threading.Thread(target=update).start()
"""


def shown(pause_s: float, second: str) -> str:
    """The display of the first cell, after a pause of the client between the two cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in (FIRST, second, "pass")]
    notebook = nbformat.v4.new_notebook(cells=cells)

    def pause(cell: object, cell_index: int) -> None:
        time.sleep(pause_s if cell_index == 0 else 0)

    NotebookClient(notebook, timeout=60, on_cell_complete=pause).execute()
    return notebook.cells[0].outputs[0]["data"]["text/plain"]


during, between = shown(0, "time.sleep(3)"), shown(3, "time.sleep(1)")
print(f"updated while the next cell runs: {during}")
print(f"updated between two cells:        {between}")
sys.exit((during, between) != ("'after'", "'before'"))
PYTHON
