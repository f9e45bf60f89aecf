"""Eight hundred tasks, hostile text, an idle end: the table in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")

from playwright.sync_api import Locator, expect
from testkit.jupyter import LIMIT_MS, Browser, Notebook, Server, launching
from testkit.stub import Stub, plan

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=LIMIT_MS)

N = 800
BAD = plan(result=None, exit=3, stderr="something broke")


CONTRASTS = """(output) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const back = getComputedStyle(document.body).getPropertyValue("--jp-layout-color0");
    const light = (...colours) => {
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        const part = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(part);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = {};
    for (const tone of ["ok", "bad", "run", "mute", "warn", "plain"]) {
        const probe = document.createElement("span");
        probe.className = tone;
        output.querySelector(".cpr-live").append(probe);
        const [a, b] = [light(back), light(back, getComputedStyle(probe).color)];
        found[tone] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        probe.remove();
    }
    return found;
}"""


def can_be_read(output: Locator) -> bool:
    """Whether every tone has the contrast to the page that WCAG AA wants of small text."""
    found = output.evaluate(CONTRASTS)
    assert len(found) == 6
    return min(found.values()) >= 4.5


def rows(output: Locator) -> Locator:
    return output.locator(".cpr-grid .cpr-row:visible")


def numbers(output: Locator) -> list[str]:
    """The numbers of the rows that are drawn, from top to bottom."""
    script = """(nodes) => nodes.filter((node) => !node.hidden)
        .sort((a, b) => a.dataset.position - b.dataset.position)
        .map((node) => node.firstChild.textContent)"""
    return output.locator(".cpr-grid .cpr-row").evaluate_all(script)  # type: ignore[no-any-return]


def test_eight_hundred_tasks(notebooks, stub_for: Stub, tmp_path: Path) -> None:
    stub_for.fifos("first")
    prompts = [f"Label ticket {9000 + n}" for n in range(N)]
    prompts[0] = plan(here="first", gate="first", say="I look", tool=["Read", {"file_path": "x"}])
    prompts[40] = prompts[86] = BAD
    cell = launching(prompts, stub_for, name="label-tickets", max_parallel=24, attempts=1)
    book: Notebook = notebooks("many.ipynb", [cell])
    output = book.run(0)
    stub_for.await_here("first")
    expect(output.locator('[data-name="succeeded"]')).to_have_text(f"✓ {N - 3} succeeded")
    expect(output.locator('[data-name="running"]')).to_have_text("◐ 1 running")
    # Twelve rows and a scroller; failures and what runs come first; a mosaic of all.
    expect(output.locator(".cpr-mosaic i")).to_have_count(N)
    assert output.locator(".cpr-mosaic .bad").count() == 2
    box = output.locator(".cpr-grid").bounding_box()
    assert box is not None and box["height"] == 12 * 26
    assert output.locator(".cpr-grid .cpr-row").count() < 30
    expect(rows(output).first).to_contain_text("failed")
    assert numbers(output)[:4] == ["41", "87", "1", "2"]
    book.shot(tmp_path / "many.png")
    assert can_be_read(output)
    # The last one by keyboard, then a search, then both with a filter.
    grid = output.locator(".cpr-grid")
    grid.focus()
    book.page.keyboard.press("End")
    expect(output.locator(".cpr-chosen")).to_contain_text(f"Label ticket {9000 + N - 1}")
    search = output.locator(".cpr-search")
    search.fill("ticket 9799")
    expect(rows(output)).to_have_count(1)
    search.fill("")
    output.locator('[data-name="failed"]').click()
    expect(rows(output)).to_have_count(2)
    book.set_dark()
    book.shot(tmp_path / "many-failed-dark.png")
    assert can_be_read(output)
    output.locator('[data-name="failed"]').click()
    # A cell of the mosaic opens its task.
    output.locator(".cpr-mosaic i").nth(86).click()
    expect(output.locator(".cpr-out-title")).to_contain_text("task 87")
    expect(output.locator(".cpr-body pre").filter(has_text="something broke").first).to_be_visible()
    book.page.keyboard.press("Escape")
    book.page.mouse.move(2, 2)
    book.page.evaluate("() => document.activeElement.blur()")
    stub_for.release("first")
    card = output.locator(".cpr-card").first
    expect(card).to_contain_text("798 succeeded")
    expect(card).to_contain_text("790 more")
    book.shot(tmp_path / "many-ended.png")


def test_rows_stay_where_they_are_under_the_pointer(
    notebooks, stub_for: Stub, tmp_path: Path
) -> None:
    names = [f"t{n}" for n in range(20)]
    stub_for.fifos("t0", "t15")
    prompts = [
        plan(here=n, gate=n, exit=3, result=None) if n in ("t0", "t15") else n for n in names
    ]
    cell = launching(prompts, stub_for, max_parallel=20, attempts=1)
    book: Notebook = notebooks("pointer.ipynb", [cell, "s.wait()"])
    output = book.run(0)
    stub_for.await_here("t0")
    stub_for.await_here("t15")
    expect(output.locator('[data-name="succeeded"]')).to_have_text("✓ 18 succeeded")
    book.page.mouse.move(2, 2)
    expect(rows(output).nth(1)).to_contain_text("16")
    assert numbers(output)[:3] == ["1", "16", "2"]
    # The pointer is inside: task 16 fails, and its row stays where it is.
    rows(output).nth(3).hover()
    stub_for.release("t15")
    expect(output.locator('[data-name="failed"]')).to_have_text("✕ 1 failed")
    assert numbers(output)[:3] == ["1", "16", "2"]
    # The pointer leaves: failures come first again.
    book.page.mouse.move(2, 2)
    expect(rows(output).filter(has_text="failed").first).to_have_attribute("data-position", "0")
    # A wait lets clicks through: an output opens while the cell runs.
    book.start(1)
    row = rows(output).filter(has_text="running")
    row.click()
    viewer = output.locator(".cpr-out")
    expect(viewer.locator('[data-tab="prompt"]')).to_be_visible()
    viewer.locator('[data-tab="prompt"]').click()
    expect(viewer.locator("pre").filter(has_text="Do it.").first).to_be_visible()
    assert "[*]" in book.page.locator(".jp-Cell").nth(1).inner_text()
    stub_for.release("t0")
    book.finish()


HOSTILE = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror='window.pwned=1'>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 bell",
    "$\\alpha + \\beta$ and \\(x^2\\)",
    "\u202eelif.exe\u202c \u200fmark",
    "</style></script><b onclick=alert(1)>b</b>",
]


def test_text_of_agents_is_shown_as_text_and_nothing_of_it_runs(
    notebooks, stub_for: Stub, server: Server, browser: Browser, tmp_path: Path
) -> None:
    stub_for.fifos("end")
    everything = " ".join(HOSTILE)
    long_line = "<b>" + "x" * 5_000_000
    told = {"result": everything, "permission_denials": [{"tool_name": "<img src=x onerror=a()>"}]}
    tool = ["Bash", {"command": everything}]
    prompts = [
        *(f"{text} STUB={json.dumps({'result': {'result': text}})}" for text in HOSTILE),
        f"{everything} " + plan(say=everything, tool=tool, result=told),
        plan(result={"result": long_line}),
        plan(result=None, exit=3, stderr=everything),
        f"{everything} " + plan(say=everything, tool=tool, here="end", gate="end"),
    ]
    cell = launching(
        prompts, stub_for, name="<i>name</i> $x$", max_parallel=4, attempts=1, then="s.show()"
    )
    book: Notebook = notebooks("hostile.ipynb", [cell, "s", "s[6]", "cpr.dashboard()"])
    output = book.run(0)
    stub_for.await_here("end")
    expect(output.locator('[data-name="running"]')).to_have_text("◐ 1 running")
    expect(output.locator(".head").first).to_contain_text("<i>name</i>")
    row = rows(output).nth(6)
    expect(row).to_contain_text("<script>window.pwned=1</script>")
    row.click()
    viewer = output.locator(".cpr-out")
    for tab, part in (
        ("answer", "<img src=x onerror='window.pwned=1'>"),
        ("prompt", "\\u202eelif.exe\\u202c \\u200fmark"),
        ("errors", "denied: <img src=x onerror=a()>"),
    ):
        viewer.locator(f'[data-tab="{tab}"]').click()
        text = viewer.locator(".cpr-body :is(pre, .md)")
        expect(text.filter(has_text=part).first).to_be_visible()
    viewer.locator('[data-tab="steps"]').click()
    for step in viewer.locator(".cpr-line").all():
        step.click()
    expect(viewer.locator(".cpr-part pre").last).to_contain_text("$\\alpha + \\beta$")
    book.shot(tmp_path / "hostile.png")
    # A line of 5 MB comes in pieces.
    rows(output).nth(7).click()
    viewer.locator('[data-tab="answer"]').click()
    # Until the kernel answers, the viewer shows what the row says: two texts.
    expect(viewer.locator(".cpr-body pre").last).to_contain_text("<b>xxx")
    more = viewer.locator('[data-more="answer"]')
    expect(more).to_contain_text("4,960,004 characters left")
    more.click()
    expect(more).to_contain_text("4,920,004 characters left")
    # The static card, a task's card and the dashboard say it as text, too.
    still = book.run(1)
    book.run(2)
    board = book.run(3)
    expect(board.locator(".cpr-row").nth(1)).to_contain_text("<i>name</i>")
    stub_for.release("end")
    expect(still.locator(".cpr-card").first).to_contain_text("<script>window.pwned=1</script>")
    expect(book.output(2).locator(".cpr-card")).to_contain_text("<img src=x")
    expect(board.locator(".cpr-row").nth(1)).to_contain_text("completed")
    book.shot(tmp_path / "hostile-cards.png")
    page = book.page
    assert page.evaluate("() => window.pwned") is None
    inside = page.locator(".cpr script, .cpr img, .cpr i:has-text('name'), .cpr mjx-container")
    assert inside.count() == 0
    assert page.locator(".cpr .MathJax, .cpr [onclick]").count() == 0
