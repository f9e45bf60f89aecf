"""The nodes of a session in the live view: their line, their column, the one that is silent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")

from playwright.sync_api import expect
from testkit.accessibility import violations
from testkit.jupyter import LIMIT_MS, Notebook, Server
from testkit.node_entries import add_nodes, node, silent
from testkit.session_folders import RUNNING, write_session

from cpr_nb.store.files import hold_lock

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=LIMIT_MS)

NAMES = ["token", "roles", "audit", "keys"]
A, B = node("node-a", n_running=1), node("node-b", n_running=1)
TASKS = dict(zip(NAMES, ["node-a", "node-b", "node-c", "node-c"], strict=True))


@pytest.fixture
def folder(server: Server) -> Iterator[Path]:
    """Four running tasks, two of them on a silent node; this process stands for the runner."""
    at = {**RUNNING, "started_at": "2026-11-01T00:00:00.000Z"}
    streams = {name: [b""] for name in NAMES}
    results = server.work / "on-nodes"
    folder = write_session(results, streams, state=at, n_running=4, name="review")
    add_nodes(folder, A, B, silent("node-c", 2), tasks=TASKS)
    fd = hold_lock(str(folder / "runner.lock"))
    yield folder
    os.close(fd)
    shutil.rmtree(results)


def test_the_silent_node_says_what_will_happen_and_its_rows_say_that_nobody_knows(
    notebooks, folder: Path, tmp_path: Path
) -> None:
    cell = "import cpr_nb as cpr\ncpr.attach('review', results_dir='on-nodes')"
    book: Notebook = notebooks("nodes.ipynb", [cell])
    output = book.run(0)
    line = output.locator(".cpr-live .nodes")
    expect(line).to_contain_text(
        "3 nodes● node-a 1 of 2 busy● node-b 1 of 2 busy⚠ node-c silent for"
    )
    expect(line).to_contain_text("· its 2 tasks move to other nodes in 0:")
    expect(line.locator("> span").last).to_contain_text("unless it answers")
    rows = output.locator(".cpr-grid .cpr-row:visible")
    expect(rows.nth(0).locator(".cpr-node")).to_have_text("node-a")
    expect(rows.nth(0)).not_to_contain_text("silent")
    expect(rows.nth(2)).to_contain_text("⚠ node-c is silent")
    expect(output.locator(".cpr-heading")).to_contain_text("Node")
    before = line.inner_text()
    expect(line).not_to_have_text(before)  # the browser counts by itself
    for dark in (False, True):
        book.set_dark(dark)
        book.shot(tmp_path / f"nodes-{'dark' if dark else 'light'}.png")
        assert violations(book.page, ".cpr-live") == []
    add_nodes(folder, A, B, node("node-c", n_running=2))
    expect(line).to_contain_text("● node-c 2 of 2 busy")
    expect(rows.nth(2)).not_to_contain_text("silent")
    add_nodes(folder, A)
    expect(line).to_be_hidden()
    expect(rows.nth(0).locator(".cpr-node")).to_have_text("node-a")
    add_nodes(folder)
    expect(output.locator(".cpr-heading .cpr-node")).to_be_hidden()
