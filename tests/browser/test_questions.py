"""Agents ask, and a person answers in the live view; real CLI, real JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator
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


def asks(name: str) -> dict[str, object]:
    command = f"python3 -c \"open('{name}', 'w')\""
    given = {"command": command, "description": f"Make {name} <b>now</b>"}
    steps = [{"tool": "Bash", "input": given}, {"text": "Done."}]
    return {"match": f"make {name}", "steps": steps}


@pytest.fixture
def story_api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": [asks(name) for name in ("one", "two")]}) as api:
        yield api


def question(output: Locator, number: int) -> Locator:
    return output.locator("[data-question]").filter(has_text=f"Task {number} wants").first


def test_questions_are_answered_in_the_view(
    notebooks, server: Server, story_api: ScriptedApi, claude: str, tmp_path: Path
) -> None:
    env = {"ANTHROPIC_BASE_URL": story_api.url, "CPR_CLAUDE": claude}
    launch = f"import os\nimport cpr_nb as cpr\nos.environ |= {env}\n" + (
        's = cpr.launch(["make one", "make two"], ask=True, name="asking", results_dir="asking")\ns'
    )
    book: Notebook = notebooks("asking.ipynb", [launch])
    output = book.run(0)
    strip = output.locator(".cpr-asks")
    expect(strip).to_contain_text("2 questions")
    expect(output.locator(".cpr-grid .cpr-row:visible").first).to_contain_text("◆ asking")
    expect(output.locator('.cpr-chips [data-name="asking"]')).to_contain_text("2 asking")
    expect(strip.locator(".cpr-ask")).to_have_count(1)  # the other one is one line
    expect(strip).to_contain_text("<b>now</b>")
    for dark in (False, True):
        book.set_dark(dark)
        book.shot(tmp_path / f"asking-{'dark' if dark else 'light'}.png")
        assert violations(book.page, ".cpr-live") == []
    # Hidden, it is one line; nothing takes the focus by itself.
    strip.locator('[data-verb="questions"]').click()
    expect(strip).to_contain_text("the first will be denied in")
    expect(strip.locator("[data-decision]")).to_have_count(0)
    strip.locator('[data-verb="questions"]').press("Enter")
    # One is allowed, by keyboard; the other one is denied with a reason.
    number = 1 if question(output, 1).locator("[data-decision]").count() else 2
    question(output, number).locator('[data-decision="once"]').press("Enter")
    expect(strip).to_contain_text("1 question")
    expect(question(output, 3 - number).locator('[data-decision="deny"]')).to_be_visible()
    question(output, 3 - number).locator("input").fill("not today")
    for _ in range(2):  # hidden and shown again, it still has what was typed
        strip.locator('[data-verb="questions"]').click()
    expect(question(output, 3 - number).locator("input")).to_have_value("not today")
    question(output, 3 - number).locator("input").press("Enter")
    expect(strip).to_be_hidden()
    expect(output.locator(".head").first).to_contain_text("● completed")
    made = ["one", "two"][number - 1]
    assert (server.work / made).exists()
    assert not (server.work / ["one", "two"][2 - number]).exists()
    streams = [path.read_text("utf-8") for path in (server.work / "asking").rglob("task-*.jsonl")]
    assert sum("not today" in stream for stream in streams) == 1, "the agent reads why"
