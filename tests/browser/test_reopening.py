"""Saved notebooks are opened again without their kernel: a sample of tests/browser/reopening.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")
pytest.importorskip("papermill", reason="no papermill: pip install -e '.[test]'")

from browser.reopening import (
    World,
    environment,
    execute,
    open_again,
    stored_widgets,
    stub_with_gate,
    without_state,
)
from testkit.jupyter import Browser, Server

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
LAB = "JupyterLab, not trusted"


def test_a_saved_notebook_can_be_read_without_its_kernel(
    server: Server, browser: Browser, notebooks: object, tmp_path: Path
) -> None:
    """``notebooks`` ends the sessions that still run."""
    env = environment(tmp_path) | {"CPR_STATE_DIR": os.environ["CPR_STATE_DIR"]}
    world = World(server, browser, stub_with_gate(tmp_path / "stub"), env)
    path = execute(world, "papermill")
    assert stored_widgets(path) == []
    opened = [(path, LAB), (path, "nbclassic, not trusted"), (path, "nbconvert")]
    opened.append((without_state(path), LAB))
    rows = [row for file, place in opened for row in open_again(world, file, place)]
    assert len(rows) == len(opened) * 13
    assert [row for row in rows if row.problem] == []
