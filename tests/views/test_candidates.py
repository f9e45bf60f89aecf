"""Which candidate of a row is chosen, and what is known of the row."""

from __future__ import annotations

from typing import Any

import pytest

from cpr_nb.model.full_mark import BY_SCORE, BY_SUCCESS, BestOf
from cpr_nb.views.candidates import Candidate, CandidateRow, Candidates

CHECKED = BestOf(3, 3, BY_SUCCESS, True, 1.0)
#: How a candidate ended → what status.json says of it.
ENDS: dict[str, dict[str, Any]] = {
    "ok": {"state": "ended", "outcome": "succeeded", "reason": "completed"},
    "bad": {"state": "ended", "outcome": "failed", "reason": "check_failed"},
    "lost": {"state": "ended", "outcome": "failed", "reason": "network"},
    "ended early": {"state": "ended", "outcome": "cancelled", "reason": "not_needed"},
    "runs": {"state": "running"},
}


def row(*ends: tuple[str, float | None], best_of: BestOf = CHECKED) -> CandidateRow:
    """A row of candidates: how each ended, and its score."""
    return CandidateRow(
        [
            Candidate(
                number,
                number - 1,
                ("s", f"t{number}"),
                {**ENDS[end], "attempts": 1, "cost_usd": None if end == "ended early" else 0.5},
                {},
                score,
                best_of,
            )
            for number, (end, score) in enumerate(ends, 1)
        ]
    )


def chosen(one: CandidateRow) -> tuple[Any, ...]:
    return one.best and one.best.number, one.margin, one.n_equal, one.solved


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ([("ok", 0.2), ("ok", 0.7), ("ok", 0.5)], (2, pytest.approx(0.2), 1, True)),
        ([("bad", 0.9), ("ok", 0.1), ("bad", 0.8)], (2, None, 1, True)),
        ([("bad", 0.3), ("bad", 0.4), ("bad", None)], (2, pytest.approx(0.1), 1, False)),
        ([("ok", 0.5), ("ok", 0.5), ("ok", 0.1)], (1, 0.0, 2, True)),
        ([("ok", None), ("ok", 0.1), ("bad", 0.2)], (2, None, 1, True)),
        ([("lost", 0.9), ("bad", 0.1), ("bad", 0.0)], (2, pytest.approx(0.1), 1, None)),
        ([("ended early", 0.9), ("ok", 0.1), ("bad", 0.0)], (2, None, 1, True)),
        ([("bad", None), ("bad", None), ("bad", None)], (None, None, 0, False)),
        ([("runs", None), ("bad", None), ("bad", None)], (None, None, 0, None)),
    ],
    ids=[
        "the highest score",
        "success comes first",
        "the best of the bad",
        "a tie goes to the first",
        "no score is the lowest",
        "what the network ended never wins",
        "what was ended early never wins",
        "nothing to show",
        "not known yet",
    ],
)
def test_one_is_chosen(ends: Any, words: tuple[Any, ...]) -> None:
    assert chosen(row(*ends)) == words


def test_without_a_check_only_a_full_mark_solves_a_row() -> None:
    best_of = BestOf(2, 2, BY_SCORE, True, 1.0)
    assert row(("ok", 0.9), ("ok", 0.8), best_of=best_of).solved is False
    assert row(("ok", 0.9), ("ok", 1.0), best_of=best_of).solved is True
    assert row(("ok", 0.9), ("ok", None), best_of=best_of).solved is None, "no score, no verdict"


def test_a_solved_row_costs_what_all_rows_cost() -> None:
    rows = [row(("ok", 1.0), ("ended early", None)), row(("bad", None), ("bad", None))]
    candidates = Candidates(CHECKED, rows)
    assert (candidates.n_solved, candidates.n_open) == (1, 0)
    assert candidates.cost_per_solved_usd == 1.5 and candidates.n_unknown_costs == 1
    assert Candidates(CHECKED, rows[1:]).cost_per_solved_usd is None
    assert candidates.has_left_out and not Candidates(CHECKED, rows[1:]).has_left_out


def test_how_all_candidates_ended() -> None:
    one = row(("ok", 1.0), ("bad", 0.0), ("lost", None), ("ended early", None), ("runs", None))
    kinds = ("ended", "failed", "lost", "not_needed", "open")
    assert [one.count(kind) for kind in kinds] == [1] * 5
