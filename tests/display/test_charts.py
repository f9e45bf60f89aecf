"""Charts: what they show, what they never let through, how large they are."""

from __future__ import annotations

import base64
import itertools
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testkit.ran import BEGIN_S, Ran

from cpr_nb.display.charts.cost_chart import cost_chart
from cpr_nb.display.charts.svg import Chart
from cpr_nb.display.charts.timeline import timeline
from cpr_nb.display.charts.timescale import TimeScale
from cpr_nb.store.read import Snapshot

NS = "{http://www.w3.org/2000/svg}"
DRAWN = (timeline, cost_chart)


def texts(chart: Chart) -> list[str]:
    """What can be read on it; that it parses shows that it is well-formed."""
    return [node.text or "" for node in ET.fromstring(chart.svg).iter(f"{NS}text")]


def bars(chart: Chart) -> list[str]:
    """What its bars say when somebody points at them."""
    paths = ET.fromstring(chart.svg).iter(f"{NS}path")
    return [title.text or "" for path in paths for title in path.iter(f"{NS}title")]


def many(folder: Path, n_tasks: int, n_at_once: int) -> Snapshot:
    """A session with some failures and further attempts, the same each time."""
    draw, ran, free = random.Random(3), Ran(folder, n_tasks), [0.0] * n_at_once
    for index in range(n_tasks):
        lane = min(range(n_at_once), key=free.__getitem__)
        begin, end = free[lane] + draw.random(), free[lane] + draw.uniform(20, 300)
        middle, kind = (begin + end) / 2, draw.random()
        if kind < 0.1:
            ran.task(index, (begin, end, "failed", 0.11), reason="check_failed")
        elif kind < 0.2:
            ran.task(index, (begin, middle, "failed", 0.1), (middle + 2, end, "succeeded", 0.2))
        else:
            ran.task(index, (begin, end, "succeeded", draw.uniform(0.01, 1.0)))
        free[lane] = end
    return ran.write(name="many")


@pytest.fixture
def small(tmp_path: Path) -> Ran:
    ran = Ran(tmp_path, 4)
    ran.task(0, (0, 60, "succeeded", 0.30))
    ran.task(1, (0, 20, "failed", 0.05), (30, 90, "failed", 0.15), reason="check_failed")
    ran.task(2, (60, 100, "cancelled", None), reason="cancelled")
    return ran


def test_a_timeline_has_a_bar_per_attempt_and_says_what_happened(small: Ran) -> None:
    chart = timeline(small.write(name="mine"))
    assert sorted(bars(chart)) == [
        "task 1: succeeded, 1:00, USD 0.30",
        "task 2: failed, attempt 1, 0:20, USD 0.05",
        "task 2: failed, check_failed, attempt 2, 1:00, USD 0.15",
        "task 3: cancelled, 0:40, USD 0.00",
    ]
    shown = texts(chart)
    assert shown[0] == "Timeline of mine, 11111111"
    assert "4 tasks · completed · 1:40 · USD 0.50 estimate · 1 with more than one attempt" in shown
    assert {"t1", "t2", "t3", "t4", "1:00", "✕ check_failed", "– cancelled", "○ pending"} <= {
        *shown
    }
    assert {"at most 2 at once", "USD 0.50 estimate", "1 failed", "1 succeeded"} <= {*shown}
    assert {"0:00", "0:30", "1:30"} <= {*shown}


def test_costs_are_shown_the_most_expensive_first(small: Ran) -> None:
    chart = cost_chart(small.write(name="mine"))
    shown = texts(chart)
    assert [word for word in shown if word in ("t1", "t2", "t3", "t4")] == ["t1", "t2", "t3"]
    assert {"0.30", "0.20 ✕ failed", "0.00 – cancelled"} <= {*shown}
    assert "USD 0.50 estimate · 3 tasks, median 0.20, at most 0.30 · 1 unknown" in shown


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize(("n_tasks", "most_kb"), [(100, 20), (1000, 100)])
def test_charts_of_many_tasks_are_small_and_whole(
    draw: object, n_tasks: int, most_kb: int, tmp_path: Path
) -> None:
    chart = draw(many(tmp_path, n_tasks, 8))  # type: ignore[operator]
    assert len(chart.svg.encode()) <= most_kb * 1000
    assert texts(chart)[0].endswith(" of many, 11111111")
    svg = ET.fromstring(chart.svg)
    assert float(svg.get("height", "0")) < 700
    if draw is timeline and n_tasks == 100:
        n_repeated = texts(chart)[1].split(" · ")[-1].split()[0]
        assert len(bars(chart)) == 100 + int(n_repeated)
        paths = [node.get("d", "") for node in svg.iter(f"{NS}path") if len(node)]
        drawn = sorted(
            (float(y), float(x), float(width))
            for x, y, width in (re.findall(r"[\d.]+", path)[:3] for path in paths)
        )
        assert len({y for y, _, _ in drawn}) == 8, "one row per lane"
        for (y, x, width), (next_y, next_x, _) in itertools.pairwise(drawn):
            assert y < next_y or x + width <= next_x + 0.11, "no bar lies on another"
    else:
        assert not bars(chart)


@pytest.mark.parametrize("draw", DRAWN)
def test_a_session_that_has_not_begun_or_runs_can_be_drawn(draw: object, tmp_path: Path) -> None:
    empty = draw(Ran(tmp_path / "a", 2).write("running"))  # type: ignore[operator]
    assert {"No task has started yet.", "No cost is known yet."} & {*texts(empty)}
    ran = Ran(tmp_path / "b", 2)
    ran.task(0, (0, 10, "succeeded", 0.25))
    ran.task(1, (0, 0, None, None))
    found = ran.write("running")
    live = Snapshot(found.paths, found.head, found.tasks, "running")
    chart = timeline(live, BEGIN_S + 40) if draw is timeline else cost_chart(live)
    assert "1 running" in texts(chart) or "1 unknown" in texts(chart)[1]
    if draw is timeline:
        assert "task 2: running, 0:40" in bars(chart) and "◐ running" in texts(chart)


HOSTILE = "</title><script>alert(1)</script>\x1b[31m\x00\ud800\uffff&\"'$x$]]>"


@pytest.mark.parametrize("draw", DRAWN)
def test_nothing_of_others_is_markup(draw: object, small: Ran, tmp_path: Path) -> None:
    for task in small.tasks:
        task["prompt"] = task["reason"] = HOSTILE
        task["outcome"] = "failed"
    small.tasks[0]["transaction_id"] = "11111111-2222-4333-8444-55555555555<"
    small.journal = [(at, {**x, "outcome": HOSTILE}) for at, x in small.journal]
    chart = draw(small.write(name=HOSTILE))  # type: ignore[operator]
    tags = {node.tag.removeprefix(NS) for node in ET.fromstring(chart.svg).iter()}
    assert tags <= {"svg", "title", "desc", "style", "text", "g", "path"}
    assert "alert(1)" in chart.svg and "<script" not in chart.svg
    chart.save(tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_text("utf-8") == str(chart) == chart.svg


@pytest.mark.parametrize("draw", DRAWN)
def test_a_chart_needs_nothing_else_and_can_be_read_by_all(draw: object, small: Ran) -> None:
    chart = draw(small.write())  # type: ignore[operator]
    svg = ET.fromstring(chart.svg)
    assert svg.get("role") == "img"
    assert svg.findtext(f"{NS}title") and "USD 0.50 estimate" in (svg.findtext(f"{NS}desc") or "")
    for outside in ("http:", "https:", "url(", "href", "@import", "<image"):
        assert outside not in chart.svg.replace("http://www.w3.org/2000/svg", ""), outside
    assert not [name for node in svg.iter() for name in node.attrib if name.startswith("on")]
    bundle = chart._repr_mimebundle_()
    assert bundle["text/plain"] == repr(chart)
    # Where styles and SVG are stripped, an image takes its place, and its words stay hidden.
    html = bundle["text/html"]
    assert f'<div class="cpr-svg" hidden="hidden">{chart.svg}</div>' in html
    image = re.search('src="data:image/svg[+]xml;base64,([^"]*)"', html)
    assert image and base64.b64decode(image[1]).decode() == chart.svg
    # Where styles are stripped, the attributes still colour it.
    groups = {g.get("class"): g.get("fill") for g in svg.iter(f"{NS}g")}
    assert groups["ok"] == "#2e7d32" and groups["bad"] == "#c62828" and svg.get("fill")


SPANS = st.lists(
    st.tuples(st.floats(0, 1e6), st.floats(0, 1e4)).map(lambda p: (p[0], p[0] + p[1])), min_size=1
)


@given(SPANS, st.lists(st.floats(-10, 1.1e6)))
@example([(0.0, 5000.0), *((at, at) for at in range(6000, 40_000, 1001))], [1.0])
def test_time_never_runs_backwards_on_the_scale(
    spans: list[tuple[float, float]], moments: list[float]
) -> None:
    scale = TimeScale(spans, 10, 500)
    places = [round(scale(at), 6) for at in sorted(moments)]
    assert places == sorted(places) and all(10 <= x <= 500 for x in places)
    for begin, end in spans:
        assert scale(begin) <= scale(end)
    assert len(scale.ticks()) <= 9 + len(scale.cuts())
    assert all(begin < end for begin, end, _ in scale.cuts())


def test_idle_time_is_cut_out_and_reported() -> None:
    scale = TimeScale([(0, 100), (9000, 9100)], 0, 226)
    assert scale.cuts() == [(100, 126, "2:28:20")]
    assert [scale(0), scale(50), scale(5000), scale(9050), scale(9100)] == [0, 50, 126, 176, 226]
    assert TimeScale([(0, 100), (110, 210)], 0, 210).cuts() == []
