"""The static card of an ended session: opened by keyboard, read by everybody, at any width."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")
pytest.importorskip("axe_playwright_python", reason="no axe: pip install -e '.[test]'")

from playwright.sync_api import expect
from testkit.accessibility import violations
from testkit.jupyter import Browser

import cpr_nb as cpr
from cpr_nb.display import cards
from cpr_nb.display.session_model import SessionModel

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
ANSWER = "## Two bugs\n\n1. **High.** `login.py:48`\n\n|file|bugs|\n|-|-|\n|a.py|2|\n\n> quoted\n"
_OPEN_ALL = "() => { for (const one of document.querySelectorAll('details')) one.open = true; }"
THEMES = {
    "light": "--jp-content-font-color1:rgba(0,0,0,.87);background:#fff;color:#000",
    "dark": "--jp-content-font-color1:#fff;background:#111;color:#fff",
}


def pages(folder: Path) -> dict[str, str]:
    """A card in both themes, and that of one of its tasks."""
    root = folder / "session-3f2a9c1e-0000-4000-8000-000000000000"
    root.mkdir()
    outcomes = ["succeeded", "failed", "timed_out", "cancelled", "succeeded"]
    tasks = [
        {
            **{"task_num": num, "transaction_id": f"t{num}", "prompt": f"Review {num}.py"},
            **{"state": "ended", "status": "completed", "outcome": outcome, "reason": "check"},
            **{"attempts": 1, "cost_usd": 0.1, "n_denials": int(num == 5)},
        }
        for num, outcome in enumerate(outcomes, 1)
    ]
    (root / "task-t1.txt").write_text(ANSWER)
    counts = {
        "total": 5,
        "completed": 5,
        "n_succeeded": 2,
        "n_failed": 2,
        "n_cancelled": 1,
        "n_denials": 1,
    }
    status = {"schema_version": 1, "overall_status": "completed", **counts, "tasks": tasks}
    (root / "status.json").write_text(json.dumps(status))
    model = SessionModel(str(root))
    model.refresh()
    html = cards.session_card(model) + cpr.Session(root)[0]._repr_html_()
    return {
        theme: '<!doctype html><html lang="en"><title>card</title>'
        f'<body data-jp-theme-light="{str(theme == "light").lower()}" style="{style}">'
        f"<main>{html}</main>"
        for theme, style in THEMES.items()
    }


def test_everybody_can_read_and_open_a_card(browser: Browser, tmp_path: Path) -> None:
    page = browser.context.new_page()
    for theme, html in pages(tmp_path).items():
        page.set_viewport_size({"width": 1000, "height": 900})
        page.set_content(html)
        first = page.locator(".list > details").first
        expect(first.locator(".open")).to_be_hidden()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(first.locator(".open")).to_be_visible()
        expect(first.locator("summary")).to_contain_text("✕ failed")
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((d) => { d.open = true })"
        )
        (tmp_path / f"card-{theme}.png").write_bytes(page.screenshot(full_page=True))
        assert violations(page, ".cpr-card") == []
        page.set_viewport_size({"width": 420, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 420
    page.close()
