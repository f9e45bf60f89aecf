"""The Python of the README runs as a newcomer pastes it: each block a cell, in order, unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S
from testkit.kernel import Cell, Kernel

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

README = Path(__file__).resolve().parents[2] / "README.md"
PYTEST = {"tool": "Bash", "input": {"command": "pytest -q", "description": "Run the tests"}}
#: One row of the frame fails, the other has bugs and was denied a tool.
RULES = [
    {"match": "Review cart.py for", "steps": [{"fail": {"status": 400, "message": "refused"}}]},
    {
        "match": "Review .* for",
        "steps": [PYTEST, {"so": {"severity": "high", "bugs": 2}}, {"text": "Two bugs."}],
    },
]
VIEW = "application/vnd.jupyter.widget-view+json"


def blocks(heading: str) -> list[str]:
    """The Python blocks of a section."""
    section = README.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    matches = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert matches, heading
    return matches


def shown(cells: list[Cell]) -> list[dict[str, Any]]:
    """What the cells show, after they ran without any error."""
    for cell in cells:
        assert (cell.status, cell.tracebacks()) == ("ok", []), cell.reply
    return [data for cell in cells for data in cell.results()]


def charts(bundles: list[dict[str, Any]]) -> list[str]:
    return [data["text/html"] for data in bundles if "<svg" in data.get("text/html", "")]


def frames(bundles: list[dict[str, Any]]) -> list[str]:
    return [data["text/html"] for data in bundles if "<table" in data.get("text/html", "")]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": RULES}) as server:
        yield server


@pytest.fixture
def kernel(work: Path, offline_env: dict[str, str]) -> Iterator[Kernel]:
    """A fresh kernel in a folder with the files that the README names."""
    for name in ("shop.py", "cart.py", "utils.py"):
        (work / name).write_text("def total(prices):\n    return sum(prices)\n")
    with Kernel(work, offline_env) as kernel:
        yield kernel
    for folder in (work / "results").glob("session-*"):
        cpr.Session(folder).wait(LIMIT_S)  # those that no block waits for


@pytest.mark.real_cli
@pytest.mark.slow
def test_the_python_of_the_readme_runs_as_pasted(kernel: Kernel) -> None:
    quick = [kernel(block) for block in blocks("Quick start")]
    shown(quick)
    assert "1 succeeded" in quick[0].text() and "2 succeeded" in quick[0].text()
    assert "Hello from the scripted API." in quick[0].text()

    notebook = shown([kernel(block) for block in blocks("In a notebook")])
    assert sum(VIEW in data for data in notebook) == 2, "the session and the dashboard"
    assert len(charts(notebook)) == 2
    assert any("review" in html for html in frames(notebook)), "the DataFrame of cpr list"

    mapped = shown([kernel(block) for block in blocks("A DataFrame in, typed columns out")])
    assert "severity" in frames(mapped)[0] and "high" in frames(mapped)[0]
    assert "opus" in frames(mapped)[-1], "the summary by model"

    outcomes, denied, calls, usage = frames(shown([kernel(block) for block in blocks("Tables")]))
    assert "succeeded" in outcomes and "sum" in outcomes
    assert "Bash(pytest:*)" in denied
    assert "pytest -q" in calls or "Bash" in calls
    assert "cost_usd" in usage
