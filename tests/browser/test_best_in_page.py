"""The best of three in a browser: read by everybody, in both themes, on a phone, not trusted."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")
pytest.importorskip("axe_playwright_python", reason="no axe: pip install -e '.[test]'")

from playwright.sync_api import expect
from testkit.accessibility import violations
from testkit.jupyter import Browser

from cpr_nb.display.decisions.best_page import BestRows, best_parts
from cpr_nb.model.full_mark import BY_SCORE, BestOf
from cpr_nb.views.candidates import Candidate, CandidateRow, Candidates

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
THEMES = {
    "light": "--jp-layout-color0:#fff;--jp-content-font-color1:rgba(0,0,0,.87);background:#fff",
    "dark": "--jp-layout-color0:#111;--jp-content-font-color1:#fff;background:#111;color:#fff",
}
BEST_OF = BestOf(3, 3, BY_SCORE, True, 1.0)
END = {"state": "ended", "outcome": "succeeded", "attempts": 1, "cost_usd": 0.1}


def best_html() -> str:
    """Three rows: solved, tied, and not solved with the scores of what failed."""
    rows = []
    for scores in ((0.4, 1.0, 0.6), (0.8, 0.8, 0.2), (0.1, None, 0.3)):
        ends = [END if score is not None else {**END, "outcome": "failed"} for score in scores]
        pairs = enumerate(zip(scores, ends, strict=True))
        rows.append(
            [
                Candidate(
                    n + 1, n, ("s", f"t{n}"), {**end, "reason": "completed"}, {}, score, BEST_OF
                )
                for n, (score, end) in pairs
            ]
        )
    candidates = Candidates(BEST_OF, [CandidateRow(row) for row in rows], (0, 1), is_graded=True)
    return best_parts(BestRows(candidates, "path", ["a.py", "b.py", "c.py"])).html()


def page_of(html: str, theme: str) -> str:
    is_light = str(theme == "light").lower()
    return (
        '<!doctype html><html lang="en"><title>best</title>'
        f'<body data-jp-theme-light="{is_light}" style="{THEMES[theme]}"><main>{html}</main>'
    )


def test_everybody_can_read_the_best(browser: Browser) -> None:
    page = browser.context.new_page()
    for theme in THEMES:
        page.set_viewport_size({"width": 940, "height": 700})
        page.set_content(page_of(best_html(), theme))
        expect(page.locator(".pic svg").first).to_be_visible()
        expect(page.get_by_text("0.40 0.60 1.00")).to_be_hidden()
        assert violations(page, ".cpr-dec") == []
    page.set_viewport_size({"width": 420, "height": 900})
    width = page.evaluate("() => document.scrollingElement.scrollWidth")
    assert width <= 420  # the table scrolls inside
    page.close()


def test_a_notebook_that_is_not_trusted_shows_the_scores_as_figures(browser: Browser) -> None:
    # JupyterLab removes these.
    bare = re.sub(r"<style>.*?</style>", "", best_html(), flags=re.DOTALL)
    bare = re.sub(r"</?(svg|path|circle)\b[^>]*>", "", bare)
    page = browser.context.new_page()
    page.set_content(page_of(bare, "light"))
    expect(page.get_by_text("0.40 0.60 1.00")).to_be_visible()
    page.close()
