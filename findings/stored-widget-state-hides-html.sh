#!/usr/bin/env bash
# nbclient 0.11.0, nbconvert 7.17.1, ipywidgets 8.1.8: a widget that is shown beside HTML.
#
# A cell shows one bundle that holds a widget's view and, for readers without widgets, text/html.
# Expected: the converted page shows the HTML wherever the widget can't be drawn.
# Seen: if the notebook was run with `store_widget_state` (nbclient's and papermill's default), the
# page holds the widget's state and scripts from a CDN in place of the HTML: offline it is blank.
# Without the stored state, the same notebook's page holds the HTML.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q nbclient==0.11.0 nbconvert==7.17.1 ipywidgets==8.1.8 ipykernel==7.4.0
export HOME="$folder" JUPYTER_PATH="$folder/venv/share/jupyter" IPYTHONDIR="$folder/ipython"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

CELL = """
import ipywidgets
from IPython.display import display
bundle = ipywidgets.IntSlider()._repr_mimebundle_()
bundle = bundle[0] if isinstance(bundle, tuple) else bundle
display({**bundle, "text/html": "<p>the words for readers without widgets</p>"}, raw=True)
"""


def page(*, stored: bool) -> str:
    """The converted page of a notebook with that cell, run with or without stored state."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=60, store_widget_state=stored).execute()
    return HTMLExporter().from_notebook_node(notebook)[0]


shown = {}
for stored in (True, False):
    text = page(stored=stored)
    body = text[text.index("<body") :]
    shown[stored] = "words for readers without widgets</p>" in body
    view = "application/vnd.jupyter.widget-view+json" in body
    print(f"state stored: {stored}: the HTML is shown: {shown[stored]}, a widget: {view}")
sys.exit(shown != {True: False, False: True})
PYTHON
