"""From the launch to the saved notebook, with the real CLI, in a real JupyterLab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")

from playwright.sync_api import Locator, expect
from testkit.accessibility import violations
from testkit.jupyter import LIMIT_MS, Notebook, Server

from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.real_cli,
    pytest.mark.usefixtures("claude"),
    pytest.mark.xdist_group("browser"),
]
expect.set_options(timeout=LIMIT_MS)

FILES = [
    *("token", "oauth", "slow", "login", "session", "saml", "mfa", "reset", "roles"),
    *("audit", "keys", "cookies"),
]
LAUNCH = """\
s = cpr.launch([f"Review auth/{name}.py" for name in FILES], max_parallel=5, name="review-auth",
               attempts=1, allow=["Bash(ls:*)"])
s
"""
COMPUTE = """\
while not Path("stop").exists():
    sum(range(1000))
"""
ATTACH = 'import cpr_nb as cpr\ncpr.attach("review-auth")'


def row(output: Locator, number: int) -> Locator:
    """The row of a task."""
    numbers = output.page.locator(f'span:first-child:text-is("{number}")')
    return output.locator(".cpr-grid .cpr-row:visible").filter(has=numbers).first


def chip(output: Locator, name: str) -> Locator:
    return output.locator(f'.cpr-chips [data-name="{name}"]').first


def test_a_session_from_its_launch_to_the_saved_notebook(
    notebooks, server: Server, story_api: ScriptedApi, claude: str, tmp_path: Path
) -> None:
    env = {"ANTHROPIC_BASE_URL": story_api.url, "CPR_CLAUDE": claude}
    load = "%load_ext cpr_nb\nimport os\nfrom pathlib import Path\nimport cpr_nb as cpr\n"
    load += f"os.environ |= {env}"
    launch = LAUNCH.replace("FILES", repr(FILES))
    book: Notebook = notebooks("story.ipynb", [load, launch, COMPUTE, ATTACH])

    def shot(name: str) -> None:
        book.shot(tmp_path / f"{name}.png")

    book.run(0)
    output = book.run(1)
    # Pending, running: no search, no scroller for twelve.
    expect(chip(output, "pending")).to_have_text("○ 6 pending")
    expect(row(output, 1)).to_contain_text("running")
    expect(row(output, 12)).to_contain_text("○ pending")
    expect(output.locator(".cpr-search")).to_be_hidden()
    expect(row(output, 2)).to_contain_text("api_error")
    shot("1-launched")

    # The kernel is busy: rows are updated, and clicks answered, on a thread of their own.
    book.start(2)
    story_api.release("first")
    expect(row(output, 4)).to_contain_text("✓ succeeded")
    expect(row(output, 4)).to_contain_text("2 bugs, severity high")
    output.locator('[data-verb="pause"]').click()
    expect(output.locator(".cpr-action")).to_contain_text("Paused")
    assert "[*]" in book.page.locator(".jp-Cell").nth(2).inner_text()
    shot("2-while-a-cell-computes")
    book.interrupt()
    book.finish()
    expect(output.locator(".note").filter(has_text="paused").first).to_be_visible()
    output.locator('[data-verb="resume"]').click()
    expect(output.locator('[data-verb="pause"]')).to_be_visible()
    # … and after the interrupt too.
    story_api.release("roles")
    expect(row(output, 9)).to_contain_text("✓ succeeded")

    # The output of a running task, by keyboard; it follows.
    output.locator(".cpr-grid").focus()
    book.page.keyboard.press("Home")
    book.page.keyboard.press("Enter")
    viewer = output.locator(".cpr-out")
    steps = viewer.locator(".cpr-step")
    expect(viewer.locator('[data-tab="steps"]')).to_have_text("Steps 2")
    expect(steps.nth(1)).to_contain_text("ls -a")
    steps.nth(1).locator(".cpr-line").click()
    expect(viewer.locator(".cpr-part pre").first).to_have_text("ls -a")
    expect(viewer.locator(".cpr-part pre").last).to_contain_text("story.ipynb")
    story_api.release("token")
    expect(steps.nth(2)).to_contain_text("The expiry is compared with local time.")
    shot("3-the-output-of-a-task")
    viewer.locator('[data-tab="answer"]').click()
    expect(viewer.locator(".md").filter(has_text="The expiry is compared").first).to_be_visible()
    viewer.locator('[data-tab="prompt"]').click()
    expect(viewer.locator("pre")).to_have_text("Review auth/token.py")
    book.page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()

    # A filter, in the browser.
    chip(output, "failed").click()
    expect(output.locator(".cpr-grid .cpr-row:visible")).to_have_count(1)
    expect(row(output, 2)).to_contain_text("✕ failed")
    shot("4-only-the-failed")
    chip(output, "failed").click()
    expect(output.locator(".cpr-grid .cpr-row:visible")).to_have_count(12)

    # One task is cancelled; it and the failed one run again.
    expect(output.locator('[data-verb="retry"]')).to_have_text("Retry failed (1)")
    row(output, 3).click()
    viewer.locator('[data-verb="cancel-task"]').click()
    expect(output.locator(".cpr-action")).to_contain_text("--task 3")
    output.locator('[data-yes="cancel"]').click()
    expect(row(output, 3)).to_contain_text("– cancelled")
    output.locator('[data-verb="close"]').click()
    expect(output.locator('[data-verb="retry"]')).to_have_text("Retry not succeeded (2)")
    output.locator('[data-verb="retry"]').click()
    expect(output.locator(".cpr-action")).to_contain_text("Run 2 tasks again")
    output.locator('[data-yes="retry"]').click()
    expect(output.locator(".cpr-action").first).to_contain_text("cpr.attach(")
    expect(output.locator(".cpr-live")).to_have_count(2)
    expect(output.locator(".cpr-card").first).to_be_hidden()
    shot("5-cancelled-and-retried")
    book.set_dark()
    shot("5-cancelled-and-retried-dark")

    # The kernel is restarted: the same session, from its folder.
    book.restart()
    again = book.run(3)
    expect(row(again, 3)).to_contain_text("– cancelled")
    expect(row(again, 6)).to_contain_text("running")
    # The old view belongs to a kernel that is gone: its static card stands there again.
    expect(output.locator(".cpr-live")).to_have_count(0)
    expect(output.locator(".cpr-card").first).to_be_visible()
    again.scroll_into_view_if_needed()
    shot("6-attached-after-a-restart-dark")
    book.save()
    saved = json.loads(book.path.read_text("utf-8"))
    kinds = [set(shown["data"]) for shown in saved["cells"][3]["outputs"]]
    assert kinds == [{"text/html"}, {"text/html", "text/plain"}], "nothing that misses a kernel"

    # It ends: the outputs can still be opened; the static card below is what is saved.
    story_api.release("rest")
    expect(again.locator(".head").first).to_contain_text("● completed")
    expect(again.locator(".prog").first).to_contain_text("12 of 12 ended")
    expect(again.locator(".cpr-card").first).to_contain_text("● completed")
    expect(again.locator(".cpr-card").first).to_be_hidden()
    row(again, 4).click()
    expect(again.locator(".cpr-body").filter(has_text="2 bugs, severity high")).to_be_visible()
    shot("7-ended-dark")
    assert violations(book.page, ".cpr-live") == []
    book.set_dark(False)
    assert violations(book.page, ".cpr-live") == []
    book.page.keyboard.press("Escape")
    book.save()
    book.close()

    # Reopened: the kernel knows nothing of all this.
    reopened: Notebook = notebooks("story.ipynb", None)
    reopened.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)"
    )
    expect(reopened.output(3).locator(".cpr-card").first).to_contain_text("10 succeeded")
    expect(reopened.output(3).locator(".cpr-card").first).to_contain_text("✕ failed")
    expect(reopened.output(1)).to_contain_text("review-auth")
    reopened.shot(tmp_path / "8-reopened.png")
    html = as_html(server.work / "story.ipynb")
    assert "● completed" in html and "10 succeeded" in html
    page = reopened.page.context.new_page()
    page.goto(html_file(server.work / "story.ipynb").as_uri())
    expect(page.locator(".cpr-card").last).to_contain_text("● completed")
    (tmp_path / "9-nbconvert.png").write_bytes(page.screenshot(full_page=True))
    page.close()


def html_file(notebook: Path) -> Path:
    return notebook.with_suffix(".html")


def as_html(notebook: Path) -> str:
    """The notebook as nbconvert makes a page of it."""
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", notebook.name],
        cwd=notebook.parent,
        env={**os.environ, "HOME": str(notebook.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return html_file(notebook).read_text("utf-8")
