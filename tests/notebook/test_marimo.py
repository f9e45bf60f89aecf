"""Sessions in marimo: the example notebook, and a cell that runs again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from testkit.stub import Stub

pytest.importorskip("marimo", reason="no marimo: pip install -e '.[test]'")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "notebooks" / "6-marimo.py"
CELLS = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import cpr_nb as cpr

    return cpr, mo


@app.cell
def _(cpr):
    s = cpr.launch(["<b>one</b>", "two"])
    return (s,)


@app.cell
def _(mo, s):
    mo.ui.anywidget(s.widget())
    return


@app.cell
def _(cpr, mo):
    mo.ui.anywidget(cpr.dashboard().widget())
    return


@app.cell
def _(s):
    s.wait()
    print("ended:", [task.text for task in s])
    return
"""


def exported(notebook: Path, folder: Path, env: Mapping[str, str]) -> str:
    """Runs a notebook as marimo does, and returns the page without a kernel."""
    page = folder / "page.html"
    argv = [sys.executable, "-m", "marimo", "export", "html", str(notebook), "-o", str(page), "-f"]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = page.read_text("utf-8")
    return text.replace("\\u003C", "<").replace("\\u003E", ">").replace("\\u0026", "&")


def test_a_notebook_that_runs_again_attaches_and_its_page_has_the_last_state(
    work: Path, stub_env: dict[str, str], stub: Stub
) -> None:
    notebook = work / "notebook.py"
    notebook.write_text(CELLS)
    for _ in range(2):
        page = exported(notebook, work, stub_env)
        assert page.count("<marimo-anywidget") == 2
        assert "2 of 2 ended" in page and "0 of 2 ended" not in page
        assert "ended: ['done', 'done']" in page
        assert "&lt;b&gt;one" in page, "text of others is no markup"
        assert "1 session" in page
        assert len(stub.calls()) == 2, "the second run has started nothing"
    assert "attached to" in page


def test_the_same_notebook_as_a_script_starts_anew(
    work: Path, stub_env: dict[str, str], stub: Stub
) -> None:
    notebook = work / "notebook.py"
    notebook.write_text(f"{CELLS}\nif __name__ == '__main__':\n    app.run()\n")
    for n_calls in (2, 4):
        argv = [sys.executable, str(notebook)]
        subprocess.run(argv, cwd=work, env=stub_env, capture_output=True, check=True)
        assert len(stub.calls()) == n_calls


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_example_runs_as_it_is(work: Path, offline_env: dict[str, str], claude: str) -> None:
    page = exported(EXAMPLE, work, {**offline_env, "CPR_CLAUDE": claude})
    assert "2 of 2 ended" in page and "price() gives None" in page
    assert not re.search(r"Traceback|MarimoException", page)
    assert "**You will learn**" in EXAMPLE.read_text()
