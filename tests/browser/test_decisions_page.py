"""A comparison in a browser: read by everybody, in both themes, on a phone, and not trusted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")
pytest.importorskip("axe_playwright_python", reason="no axe: pip install -e '.[test]'")

import numpy as np
from playwright.sync_api import expect
from testkit.accessibility import violations
from testkit.jupyter import Browser

from cpr_nb.display.decisions.comparison_output import Comparison, comparison_parts
from cpr_nb.stats.comparison import LevelMeans, RowMeans, compare_levels
from cpr_nb.stats.metric_kinds import BOUNDED, SKEWED, Metric

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("browser")]
THEMES = {
    "light": "--jp-layout-color0:#fff;--jp-content-font-color1:rgba(0,0,0,.87);background:#fff",
    "dark": "--jp-layout-color0:#111;--jp-content-font-color1:#fff;background:#111;color:#fff",
}


def comparison() -> Comparison:
    """Forty rows under three models."""
    random = np.random.default_rng(4)
    rows, costs = {}, {}
    hardness, size = random.normal(0, 12, 40), random.normal(0, 0.5, 40)
    for name, score, cost in (("sonnet", 72, -2.0), ("opus", 82, -1.2), ("haiku", 70, -3.0)):
        values = np.clip(score + hardness + random.normal(0, 6, 40), 0, 100)
        is_ok = random.random(40) > 0.06
        counted = RowMeans(range(40), np.where(is_ok, values, 0.0), np.full(40, 3))
        places = np.flatnonzero(is_ok)
        succeeded = RowMeans(places.tolist(), values[places], np.full(len(places), 3))
        rows[name] = LevelMeans(counted, succeeded, {"overloaded": 1})
        spent = RowMeans(range(40), np.exp(cost + size), np.full(40, 3))
        costs[name] = LevelMeans(spent, spent, {})
    metric = Metric("score", BOUNDED, 0, 100)
    compared = compare_levels("model", metric, "sonnet", rows, costs)
    assert compare_levels("model", Metric("cost_usd", SKEWED), "sonnet", costs).levels
    return Comparison(comparison_parts(compared), "score by model", None)


def page_of(html: str, theme: str) -> str:
    is_light = str(theme == "light").lower()
    return (
        '<!doctype html><html lang="en"><title>comparison</title>'
        f'<body data-jp-theme-light="{is_light}" style="{THEMES[theme]}"><main>{html}</main>'
    )


def test_everybody_can_read_a_comparison(browser: Browser, tmp_path: Path) -> None:
    html = comparison()._repr_mimebundle_()["text/html"]
    page = browser.context.new_page()
    for theme in THEMES:
        page.set_viewport_size({"width": 940, "height": 700})
        page.set_content(page_of(html, theme))
        expect(page.locator("svg.cpr-chart")).to_be_visible()
        expect(page.locator(".wide img")).to_be_hidden()
        (tmp_path / f"comparison-{theme}.png").write_bytes(page.screenshot(full_page=True))
        assert violations(page, ".cpr-dec") == []
    page.set_viewport_size({"width": 420, "height": 900})
    width = page.evaluate("() => document.scrollingElement.scrollWidth")
    assert width <= 420  # the picture and the table scroll inside
    page.close()


def test_a_notebook_that_is_not_trusted_shows_the_picture_as_an_image(browser: Browser) -> None:
    html = comparison()._repr_mimebundle_()["text/html"]
    # JupyterLab removes these, and leaves the texts of the SVG.
    bare = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    bare = re.sub(r"</?(svg|path|circle|g|text|title|desc)\b[^>]*>", "", bare)
    page = browser.context.new_page()
    page.set_content(page_of(bare, "light"))
    image = page.locator(".wide img")
    expect(image).to_be_visible()
    assert image.evaluate("(image) => image.naturalWidth") == 880
    expect(page.locator(".cpr-svg")).to_be_hidden()
    expect(page.locator("table")).to_contain_text("opus")
    page.close()


def test_the_image_can_be_read_on_white_and_on_the_darkest_theme(browser: Browser) -> None:
    html = comparison()._repr_mimebundle_()["text/html"]
    page = browser.context.new_page()
    page.goto(re.findall(r'<img src="(data:image/svg[^"]+)"', html)[0])
    colours = page.evaluate(
        """() => [...document.querySelectorAll("text")].map((text) => {
            const style = getComputedStyle(text);
            return [style.fill, Number(style.fillOpacity) * Number(style.opacity)];
        })"""
    )
    page.close()
    assert len(colours) > 5
    for fill, opacity in colours:
        (channel,) = set(re.findall(r"\d+", fill))  # a grey
        for ground in (0x11, 0xFF):
            assert _contrast(opacity * int(channel) + (1 - opacity) * ground, ground) >= 4


def _contrast(grey: float, ground: float) -> float:
    """The contrast of two greys (from 0 to 255), as WCAG reckons it."""
    light = [((value / 255 + 0.055) / 1.055) ** 2.4 + 0.05 for value in (grey, ground)]
    return max(light) / min(light)


def test_a_saved_page_stands_alone(browser: Browser, tmp_path: Path) -> None:
    path = comparison().save(tmp_path / "comparison.html")
    page = browser.context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("h1")).to_have_text("score by model")
    expect(page.locator("svg.cpr-chart")).to_be_visible()
    assert violations(page, "main") == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    page.close()
