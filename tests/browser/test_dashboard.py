"""The dashboard, and Notebook 7."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")

from playwright.sync_api import expect
from testkit.jupyter import LIMIT_MS, Notebook, Server, launching
from testkit.stub import Stub, plan

from cpr_nb.offline.scripted_api import cli_environment

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=LIMIT_MS)


def test_the_dashboard_shows_all_sessions_and_opens_one(
    notebooks, stub_for: Stub, server: Server, tmp_path: Path
) -> None:
    stub_for.fifos("one")
    cell = launching(["a"], stub_for, then="", name="first", results_dir="board")
    second = launching(
        [plan(here="one", gate="one"), "b"], stub_for, then="", name="second", results_dir="board"
    )
    board = "cpr.dashboard('board')"
    book: Notebook = notebooks("board.ipynb", [f"{cell}\ns.wait()", board, second])
    book.run(0)
    output = book.run(1)
    rows = output.locator(".cpr-grid").first.locator(".cpr-row:visible")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("first")
    # A new session appears by itself, the newest first; a click opens it below.
    book.run(2)
    stub_for.await_here("one")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("1 succeeded · 1 running")
    rows.first.click()
    expect(output.locator(".cpr-live")).to_have_count(2)
    expect(output.locator(".cpr-live").nth(1).locator(".cpr-grid")).to_contain_text("running")
    book.shot(tmp_path / "dashboard.png")
    stub_for.release("one")
    expect(rows.first).to_contain_text("● completed")
    rows.first.click()
    expect(output.locator(".cpr-live")).to_have_count(1)


def test_a_reloaded_page_continues(notebooks, stub_for: Stub) -> None:
    stub_for.fifos("one", "two")
    prompts = [plan(here=n, gate=n, say="I look") for n in ("one", "two")]
    book: Notebook = notebooks("reload.ipynb", [launching(prompts, stub_for, max_parallel=2)])
    output = book.run(0)
    stub_for.await_here("one")
    stub_for.await_here("two")
    expect(output.locator(".cpr-grid .cpr-row:visible")).to_have_count(2)
    book.save()
    book.page.reload()
    book.await_ready()
    rows = output.locator(".cpr-grid .cpr-row:visible")
    expect(rows.first).to_contain_text("running")
    stub_for.release("one")
    expect(rows.first).to_contain_text("✓ succeeded")
    stub_for.release("two")
    # The place of the card is not known to this page: the view stays, and can still be asked.
    expect(output.locator(".head").first).to_contain_text("● completed")
    rows.nth(1).click()
    expect(output.locator(".cpr-body p").filter(has_text="done").first).to_be_visible()
    book.page.keyboard.press("Escape")


def test_notebook_7(notebooks, browser_program: str, stub_for: Stub, tmp_path: Path) -> None:
    stub_for.fifos("one")
    (tmp_path / "home").mkdir()
    env = cli_environment("http://127.0.0.1:9", tmp_path / "home")
    server = Server(tmp_path / "server", env, app="notebook")
    try:
        cell = launching([plan(here="one", gate="one", say="I look"), "b"], stub_for)
        book: Notebook = notebooks("seven.ipynb", [cell], at=server)
        output = book.run(0)
        stub_for.await_here("one")
        rows = output.locator(".cpr-grid .cpr-row:visible")
        expect(rows.nth(1)).to_contain_text("✓ succeeded")
        rows.first.click()
        expect(output.locator(".cpr-step")).to_contain_text("I look")
        book.shot(tmp_path / "notebook-7.png")
        book.page.keyboard.press("Escape")
        book.page.evaluate("() => document.activeElement.blur()")
        book.page.mouse.move(2, 2)
        stub_for.release("one")
        expect(output.locator(".cpr-card").first).to_contain_text("● completed")
        book.close()
    finally:
        server.close()
