"""The notebooks run as they are, and are there with outputs that read well without a kernel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from generators.notebooks import NOT_EXECUTED, execute_notebook
from jupyter_core.utils import ensure_event_loop

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = [path for path in PATHS if path.stem not in NOT_EXECUTED]
# What a reader would see of a widget that has no kernel any more, and what names a machine.
BAD = re.compile(r"Loading widget|Traceback|/root/|/home/|/tmp/ipy|site-packages")


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: Any) -> set[str]:
    """What a cell shows, but for what depends on how fast its tasks are."""
    return {kind for output in cell.outputs for kind in output.get("data", {"text/plain": ""})}


def test_all_are_there() -> None:
    assert len(PATHS) == 8 and len(EXECUTED) == 7


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_its_first_cell_says_what_the_reader_will_learn(path: Path) -> None:
    first = nbformat.read(path, 4).cells[0]
    assert first.cell_type == "markdown" and "**You will learn**" in first.source


@pytest.mark.slow
@pytest.mark.real_cli
@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_it_runs_and_what_is_committed_is_what_it_shows(
    path: Path, tmp_path: Path, claude: str
) -> None:
    fresh = code(execute_notebook(path, tmp_path))  # an error in a cell is one here
    ensure_event_loop().close()  # that of the kernel's client
    committed = code(nbformat.read(path, 4))
    assert [cell.execution_count for cell in committed] == list(range(1, len(committed) + 1))
    assert [kinds(cell) for cell in committed] == [kinds(cell) for cell in fresh]
    for cell in (*fresh, *committed):
        assert not BAD.search(str(cell.outputs)), cell.source


@pytest.mark.parametrize("path", sorted({*PATHS} - {*EXECUTED}), ids=lambda path: path.stem)
def test_what_would_spend_has_not_run(path: Path) -> None:
    assert all(cell.outputs == [] for cell in code(nbformat.read(path, 4)))
