"""The figures of a session in words, as every interface shows them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.views.figure_texts import figure_pieces, progress_pieces, range_text
from cpr_nb.views.figures import Figures
from cpr_nb.views.task_figures import TaskFigures

RUNNING = Figures(5, 12, {}, 453_000, 1.214, True, 380.0, (130.0, 250.0), (1.6, 1.45, 1.9))


def snapshot(state: str, **head: Any) -> Snapshot:
    return Snapshot(SessionPaths("/r/session-3f2a"), {"schema_version": 1, **head}, [], state)


def line(figures: Figures, one: Snapshot) -> str:
    return " · ".join(piece.text for piece in figure_pieces(figures, one))


def test_a_running_session() -> None:
    one = snapshot("running", n_running=6, max_parallel=6)
    assert line(RUNNING, one) == (
        "≈ USD 1.21 so far · 453k tokens · 6:20 elapsed · 2 to 4 min left"
        " · ≈ USD 1.60 in total (1.45 to 1.90) · 6 of 6 at once"
    )


def test_an_ended_session_has_no_mark_and_no_forecast() -> None:
    ended = Figures(12, 12, {}, 512_000, 1.58, False, 500.0)
    assert line(ended, snapshot("completed")) == "USD 1.58 estimate · 512k tokens · 8:20"


def test_nothing_is_shown_of_what_is_unknown() -> None:
    assert line(Figures(0, 0, {}, None, None, False, None), snapshot("unreadable")) == ""


def test_costs_that_nobody_knows_are_counted() -> None:
    one, ended = (
        snapshot("completed", n_unknown_costs=2),
        Figures(1, 2, {}, None, None, False, None),
    )
    assert line(ended, one) == "cost of 2 attempts unknown"
    ended = ended._replace(cost_usd=0.5)
    assert line(ended, one) == "USD 0.50 estimate, cost of 2 attempts unknown"


def test_a_session_that_waits_for_a_limit_says_when_it_will_be_done() -> None:
    text = line(RUNNING, snapshot("waiting"))
    assert re.search(r" · done \d\d:\d\d to \d\d:\d\d · ≈ USD 1.60 in total", text)
    assert "left" not in text and "at once" not in text


def test_the_line_of_who_waits() -> None:
    one = snapshot("running", n_failed=1)
    assert progress_pieces(RUNNING, one, n_questions=2) == [
        "5 of 12 ended",
        "1 failed",
        "2 questions",
        "≈ USD 1.21",
        "6:20",
        "2 to 4 min left",
    ]
    nothing = Figures(0, 3, {}, None, None, False, None)
    assert progress_pieces(nothing, snapshot("starting")) == ["0 of 3 ended"]
    pilot = progress_pieces(nothing._replace(n_ended=3), snapshot("completed", n_skipped=2))
    assert pilot == ["3 of 3 ended", "2 skipped"]


@pytest.mark.parametrize(
    ("low_s", "high_s", "text"),
    [
        (130, 250, "2 to 4 min"),
        (2, 40, "2 to 40 s"),
        (0.2, 40, "up to 40 s"),
        (3600, 8000, "1.0 to 2.2 h"),
        (40_000, 90_000, "11 to 25 h"),
        (179, 181, "about 3 min"),
    ],
)
def test_a_range_is_as_coarse_as_its_high_end(low_s: float, high_s: float, text: str) -> None:
    assert range_text(low_s, high_s) == text


def test_cells_are_marked_where_they_are_estimated() -> None:
    running, ended = TaskFigures(78_000, 0.21, True), TaskFigures(64_000, 0.18)
    assert (running.tokens_text, running.cost_text) == ("≈ 78k", "≈ 0.21")
    assert (ended.tokens_text, ended.cost_text) == ("64k", "0.18")
    assert (TaskFigures().tokens_text, TaskFigures(is_estimate=True).cost_text) == ("", "")
