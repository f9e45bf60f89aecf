"""The page of the best: what it says of rows that are solved, not solved, tied, flattered."""

from __future__ import annotations

from typing import Any

import pytest

from cpr_nb.display.decisions.best_page import BestRows, best_parts
from cpr_nb.model.full_mark import BY_SCORE, BY_SUCCESS, UNKNOWN, BestOf
from cpr_nb.views.candidates import Candidate, CandidateRow, Candidates

SCORED = BestOf(3, 3, BY_SCORE, True, 1.0)


def one(number: int, best_of: BestOf, end: Any, cost_usd: float | None = 0.1) -> Candidate:
    """A candidate that ended with this score, or this reason, or succeeded."""
    fields: dict[str, Any] = {"state": "ended", "attempts": 1, "cost_usd": cost_usd}
    if end is None:
        fields = {"state": "running", "attempts": 1}
    elif end == "not_needed":
        fields |= {"outcome": "cancelled", "reason": end, "cost_usd": None}
    elif end == "check_failed" or end == "network":
        fields |= {"outcome": "failed", "reason": end}
    else:
        fields |= {"outcome": "succeeded", "reason": "completed"}
    score = end if isinstance(end, float) else None
    return Candidate(number, number - 1, ("s", f"t-{number}"), fields, {}, score, best_of)


def page(best_of: BestOf, *rows: tuple[Any, ...], rescored: Any = None) -> str:
    made = [CandidateRow([one(n, best_of, end) for n, end in enumerate(row, 1)]) for row in rows]
    names = [f"row {n}" for n in range(len(rows))]
    candidates = Candidates(best_of, made, (0.0, 1.0), is_graded=True)
    return best_parts(BestRows(candidates, "path", names, rescored)).text().replace("\n", " ")


def test_scores_with_a_full_mark() -> None:
    text = page(SCORED, (0.2, 1.0, "not_needed"), (0.5, 0.5, 0.1), ("check_failed",) * 3)
    assert "1 of 3 rows is solved by the best of three" in text
    assert "the first candidate alone solves 0." not in text
    assert "A solved row costs at least USD 0.80." in text
    assert "flattered: `s.best_df(regrade=True)` has the winners graded anew" in text
    assert "2 of 3" in text and "tie" in text and "none" in text
    assert "2 succeeded, 1 not needed" in text and "3 failed" in text


def test_checks_one_after_the_other_give_figures() -> None:
    best_of = BestOf(2, 1, BY_SUCCESS)
    text = page(best_of, (True, "not_needed"), ("check_failed", True), ("check_failed",) * 2)
    assert "2 of 3 rows are solved by the best of two; a single candidate solves 1." in text
    assert "pass@1 33 % (" in text and "pass@2 67 % (" in text
    assert "in the order of their start, over all 3 rows" in text
    assert "score" not in text.split("Merge")[0]


def test_at_once_there_are_bounds_for_one_candidate() -> None:
    text = page(BestOf(2, 2, BY_SUCCESS), ("not_needed", True), ("check_failed",) * 2)
    assert "the first candidate alone solves 0 to 1" in text
    assert "pass@1 between 0 and 50 %" in text and "pass@2 50 %" in text


def test_where_all_ran_also_how_often_all_solve_a_row() -> None:
    text = page(BestOf(2, 2, BY_SUCCESS), (True, "check_failed"), (True, True))
    assert "all two solve 50 % (" in text
    assert "from the 2 rows whose candidates all ran" in text


@pytest.mark.parametrize(
    ("rescored", "words"),
    [
        ({("s", "t-2"): 0.86}, "Scored anew, the winners lose 0.04 on average"),
        ({("s", "t-2"): 0.95}, "Scored anew, the winners do not lose on average."),
    ],
    ids=["less", "more"],
)
def test_winners_that_were_scored_anew(rescored: Any, words: str) -> None:
    text = page(SCORED, (0.2, 0.9, 0.5), rescored=rescored)
    assert words in text and "rescored" in text and "flattered" not in text


def test_what_is_not_known_is_said() -> None:
    text = page(SCORED, ("network", 0.2, 0.1), (None, None, None))
    assert "Of 2 rows it is not known yet." in text and "1 lost" in text and "3 not ended" in text


def test_without_a_full_mark_nothing_is_called_solved() -> None:
    text = page(BestOf(2, 2, UNKNOWN, True, None), (3.0, 5.0))
    assert "nothing says which score solves one: give full_mark= or check=" in text
    assert "pass@" not in text and "A solved row" not in text


def test_names_can_not_do_harm() -> None:
    candidates = Candidates(SCORED, [CandidateRow([one(n, SCORED, 0.5) for n in (1, 2, 3)])])
    html = best_parts(BestRows(candidates, "<b>", ["<script>alert(1)</script>"])).html()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_without_any_score_there_is_no_pass_at_k() -> None:
    text = page(SCORED, ("no score",) * 3, ("no score",) * 3)
    assert "Of 2 rows it is not known yet" in text
    assert "unknown %" not in text and "pass@" not in text
