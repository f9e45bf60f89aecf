"""What a decision shows: the same words everywhere, and nothing that anybody wrote is markup."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from testkit.hostile_text import ALL, TEXTS, forbidden

from cpr_nb.display.decisions.decision_output import DecisionOutput, DecisionParts, Sentence
from cpr_nb.display.decisions.decision_table import Cell, Column, DecisionTable
from cpr_nb.display.decisions.interval_chart import Interval, Panel, interval_chart
from cpr_nb.model.errors import InputError

MARKUP = st.sampled_from(
    ["<script>x</script>", "<img src=x onerror=x>", '"><b onload=x>', "</style>", "`a`", "$x$"]
)
TAGS = {
    *("style", "div", "p", "b", "code", "table", "thead", "tbody", "tr", "th", "td", "span", "img"),
    *("svg", "title", "desc", "text", "path", "circle", "g"),
}
ATTRIBUTES = {
    *("class", "tabindex", "role", "aria-label", "colspan", "scope", "style", "hidden", "src"),
    *("alt", "xmlns", "width", "height", "viewbox", "fill", "font-family", "font-size", "x", "y"),
    *("text-anchor", "d", "stroke", "stroke-opacity", "cx", "cy", "r"),
}
SVG = "{http://www.w3.org/2000/svg}"


class Seen(HTMLParser):
    """The tags, attributes and texts of what a notebook shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def decision_about(text: str) -> DecisionOutput:
    """A decision in every place of which somebody has written a text."""
    interval = Interval(8, 3, 13, f"+8 (3 to 13) {text}")
    chart = interval_chart(text, [(text, text)], [Panel(text, [interval], text, text)], text)
    columns = [Column(text), Column("cost", is_number=True), Column(is_joined=True)]
    rows = [[text, Cell("2", "strong"), "1 to 3"], ["x", Cell(text, "mute", span=2)]]
    table = DecisionTable(text, columns, rows)
    sentence = Sentence(text, f"{text} `s.compare()`")
    return DecisionOutput(DecisionParts(sentence, text, [text], [chart], [table], text), text)


@settings(max_examples=40)
@given(TEXTS | MARKUP)
@example(ALL)
def test_nothing_that_anybody_wrote_is_markup_or_hides(text: str) -> None:
    decision = decision_about(text)
    bundle = decision._repr_mimebundle_()
    seen = Seen(bundle["text/html"])
    assert seen.tags <= TAGS and seen.attributes <= ATTRIBUTES
    assert not forbidden(" ".join(seen.texts))
    assert not forbidden(bundle["text/plain"]) and not forbidden(str(decision))
    ET.fromstring(decision.plot().svg)


def test_a_terminal_shows_sentence_table_and_method_in_this_order() -> None:
    columns = [Column(), Column("mean", is_number=True), Column("cost", is_number=True)]
    columns.append(Column(is_joined=True))
    rows = [
        ["sonnet", "72.8", Cell("the baseline", "mute", span=2)],
        ["opus", "80.6", "× 2.21", "1.97 to 2.48"],
    ]
    table = DecisionTable("t", columns, rows)
    parts = DecisionParts(Sentence("opus is better.", "It costs more."), tables=[table], method="M")
    assert str(DecisionOutput(parts)).splitlines() == [
        "opus is better. It costs more.",
        "",
        "        mean  cost",
        "sonnet  72.8  the baseline",
        "opus    80.6  × 2.21  1.97 to 2.48",
        "",
        "M",
    ]


def test_a_notebook_that_is_not_trusted_shows_an_image_and_the_table() -> None:
    html = decision_about("words")._repr_mimebundle_()["text/html"]
    bare = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert '<img src="data:image/svg+xml;base64,' in bare
    assert '<div class="cpr-svg" hidden="hidden"></div>' in bare
    assert "1 to 3" in bare


def test_a_picture_in_a_cell_has_words_where_no_picture_can_be() -> None:
    cell = Cell("0.91 of 0.87 to 0.91", picture="<svg/>")
    html = DecisionTable("t", [Column("scores")], [[cell]]).html()
    assert '<span class="pic" hidden="hidden"><svg/></span><span>0.91 of' in html


def test_a_page_loads_nothing_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    assert decision_about("words").save(path) == path
    page = path.read_text("utf-8")
    assert "default-src 'none'" in page and "<h1>words</h1>" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    (tmp_path / "link.html").symlink_to(path)
    with pytest.raises(InputError, match="it is a link"):
        decision_about("other").save(tmp_path / "link.html")
    assert path.read_text("utf-8") == page


# -- the chart ----------------------------------------------------------------------------------


def positions(svg: str, tag: str, attribute: str) -> list[float]:
    nodes = ET.fromstring(svg).iter(f"{SVG}{tag}")
    return [float(node.attrib[attribute]) for node in nodes]


def test_dots_stand_in_the_order_of_their_figures() -> None:
    figures = [Interval(v, v - 1, v + 1, f"{v}", v != 2) for v in (-3.0, 2.0, 7.0)]
    chart = interval_chart("t", [("a", ""), ("b", ""), ("c", "")], [Panel("p", figures)])
    x = positions(chart.svg, "circle", "cx")
    assert x == sorted(x)
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=0.11)
    assert [n.attrib["class"] for n in ET.fromstring(chart.svg).iter(f"{SVG}circle")] == [
        "pt",
        "open",
        "pt",
    ]


def test_ratios_are_as_far_from_the_same_up_as_down() -> None:
    figures = [Interval(v, v, v, f"{v}") for v in (0.5, 1.0, 2.0)]
    names = [("a", ""), ("b", ""), ("c", "")]
    chart = interval_chart("t", names, [Panel("p", figures, is_ratio=True)])
    x = positions(chart.svg, "circle", "cx")
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=0.11) and x[0] < x[1]
    words = [node.text for node in ET.fromstring(chart.svg).iter(f"{SVG}text")]
    assert {"× ½", "same", "× 2"} <= set(words)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=80)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=3), st.booleans())
@example([(math.nan, math.nan, math.nan)], True)
@example([(0.0, 0.0, 0.0)], False)
@example([(0.0, 0.0, math.inf)], True)
@example([(1e300, -1e308, 1e308)], False)
def test_any_figures_can_be_drawn_inside(
    figures: list[tuple[float, float, float]], is_ratio: bool
) -> None:
    intervals = [Interval(*figure, "label") for figure in figures]
    names = [(f"n{place}", "") for place in range(len(figures))]
    chart = interval_chart("t", names, [Panel("p", intervals, is_ratio=is_ratio)] * 2)
    for x in positions(chart.svg, "circle", "cx"):
        assert 160 <= x <= 880
