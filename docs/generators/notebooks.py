"""The outputs of the notebooks."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
#: Notebooks that would spend money are never executed.
NOT_EXECUTED = ("5-real-accounts",)
#: Where a warning says that it comes from: a file of this kernel, which is no more.
_CELL_FILE = re.compile(r"\S*/ipykernel_\d+/\d+\.py")


def execute_notebook(path: Path, folder: Path) -> Any:
    """Executes all cells of a notebook and returns it with their outputs.

    Args:
        path: The notebook.
        folder: The working directory of its kernel.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    # The kernel finds the programs beside this Python, but none of this process's logins: its
    # environment is built from nothing.
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[0] = sys.executable
    path_variable = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    with tempfile.TemporaryDirectory() as sockets:
        # No ports: a client of an earlier kernel on the same port would talk to this one.
        manager.transport, manager.ip = "ipc", f"{sockets}/k"
        client.execute(env={"PATH": path_variable})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = _CELL_FILE.sub("<cell>", output.text)
    notebook.metadata.pop("widgets", None)  # an ended session needs none
    return notebook


def execute_all() -> None:
    """Executes the notebooks and writes their outputs into them."""
    import nbformat

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if path.stem not in NOT_EXECUTED:
            with tempfile.TemporaryDirectory() as folder:
                nbformat.write(execute_notebook(path, Path(folder)), path)
