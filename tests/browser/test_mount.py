"""Where a view is drawn: a cell runs again, is removed, scrolls away, has a second output."""

from __future__ import annotations

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")

from playwright.sync_api import expect
from testkit.jupyter import LIMIT_MS, Notebook, launching
from testkit.stub import Stub, plan

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=LIMIT_MS)

# What windowed mode does with a cell that is no longer on the screen, and does again.
LEAVE = """(index) => {
    const cell = document.querySelectorAll(".jp-Cell")[index];
    const [place, next] = [cell.parentNode, cell.nextSibling];
    window.cprBack = () => place.insertBefore(cell, next);
    cell.remove();
}"""
REMOVE = """(index) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = index; content.deselectAll();
    return window.jupyterapp.commands.execute("notebook:delete-cell").then(() => null);
}"""


def test_a_view_is_drawn_wherever_its_mount_stands(notebooks, stub_for: Stub) -> None:
    stub_for.fifos("one", "two")
    prompts = [plan(here="one", gate="one"), plan(here="two", gate="two")]
    cell = launching(prompts, stub_for, then="", max_parallel=2, results_dir="mount")
    book: Notebook = notebooks("mount.ipynb", [cell, "s", "s"])
    for index in range(3):
        book.run(index)
    stub_for.await_here("one")
    stub_for.await_here("two")
    views = book.page.locator(".cpr-live")
    expect(views).to_have_count(2)
    # A cell that runs again has one view, like any other. A cell that is removed has none.
    expect(book.run(1).locator(".cpr-live")).to_have_count(1)
    expect(views).to_have_count(2)
    book.page.evaluate(REMOVE, 2)
    expect(views).to_have_count(1)
    assert book.output(1).locator(".cpr-card").is_hidden()
    # In windowed mode the cell leaves the page, and comes back with what has happened since.
    book.page.evaluate(LEAVE, 1)
    expect(views).to_have_count(0)
    stub_for.release("one")
    stub_for.release("two")
    book.page.evaluate("() => { window.cprBack(); }")
    expect(views.locator(".head")).to_contain_text("● completed")
    # The output, shown once more beside the notebook, has a view of its own.
    book.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1; }"
    )
    place = book.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    book.command("notebook:create-output-view")
    expect(views).to_have_count(2)
    for view in views.all():
        expect(view.locator(".prog")).to_contain_text("2 of 2 ended")
    book.page.evaluate("(id) => window.jupyterapp.shell.activateById(id)", place)
