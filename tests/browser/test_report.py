"""The report in a real browser: read by everybody, on a phone, on paper, without any script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testkit.ran import Ran

from cpr_nb.display.report.page import session_report

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from testkit.jupyter import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]

ANSWER = """# Two bugs

1. **High.** `login.py:48` trusts a header, and compares tokens in a way that leaks timing.
2. Low. <script>document.title = "run"</script>

| file | bugs |
|---|---|
| login.py | 2 |

```
%s
```
""" % ("a_long_line_without_any_space" * 9)
PATCH = "--- a/login.py\n+++ b/login.py\n@@ -1 +1 @@\n-    if given == wanted:\n+    if same:\n"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A page with every section and every state of a task that has ended."""
    ran = Ran(tmp_path, 7)
    ends = ["succeeded", "failed", "timed_out", "cancelled", "skipped", "lost", "succeeded"]
    reasons = ["completed", "check_failed", "silence", "cancelled", "budget", "vanished"]
    for index, end in enumerate(ends):
        spans = [(index * 9.0, index * 9.0 + 30, end, 0.1 * index)]
        if index == 6:  # a second attempt
            spans.insert(0, (0.0, 9.0, "failed", 0.1))
        reason = reasons[index % len(reasons)]
        ran.task(index, *spans, reason=reason, error="" if end == "succeeded" else "why " * 40)
        ran.tasks[index]["prompt"] = f"Review part_{index}_{'long_name' * 9} and fix what you find"
        (ran.path / f"task-t{index + 1}.txt").write_text(ANSWER)
    denial = {"tool_name": "Bash", "tool_input": {"command": "pytest -q"}}
    result = {"type": "result", "is_error": False, "permission_denials": [denial]}
    (ran.path / "task-t1.jsonl").write_text(json.dumps(result) + "\n")
    (ran.path / "task-t1.patch").write_text(PATCH)
    (ran.path / "task-t2.check.log").write_text("FAILED test_x\n2 failed\n")
    ran.tasks[0] |= {"attempts": 1, "n_denials": 1, "lines_added": 1, "n_files_changed": 1}
    warnings = ["the MCP server db failed: its tools were missing"]
    snapshot = ran.write(name="review-auth", n_denials=1, warnings=warnings)
    models = {"opus": 1.0, "haiku": 0.5}
    return session_report(snapshot, models).save(tmp_path / "report.html")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.context.new_page()
    yield page
    page.close()


def no_sideways_scrolling(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it_on_any_screen(report: Path, page: Page, scheme: str) -> None:
    from testkit.accessibility import violations

    requests: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(report.as_uri())
        for summary in page.locator("summary").all():
            summary.focus()
            page.keyboard.press("Enter")
        assert page.locator("details[open]").count() == 7
        assert no_sideways_scrolling(page), width
        assert violations(page) == []
    assert requests == [report.as_uri()] * 2 and problems == []
    assert page.title() == "review-auth: session report"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
    assert dark == (scheme == "dark")


def test_paper_shows_every_answer(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    visible = "e => [...document.querySelectorAll('.open')].filter(e => e.checkVisibility()).length"
    open_boxes = f"() => ({visible})()"
    assert page.evaluate(open_boxes) == 0
    page.emulate_media(media="print", color_scheme="dark")
    heights = page.evaluate(
        "[...document.querySelectorAll('.open')].map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) == 7 and all(height > 40 for height in heights)
    assert page.evaluate(open_boxes) == 7
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"


def test_nothing_that_it_shows_can_run(report: Path, page: Page) -> None:
    page.goto(report.as_uri())
    page.evaluate(  # as if something had slipped through
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
    )
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'document.title=2';"
        " document.body.append(s) }"
    )
    assert page.title() == "review-auth: session report"
