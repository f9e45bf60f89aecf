"""The confidence sequence: the values that the design gives, and what must always be true of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.betting import Wealth, bar, interval
from cpr_nb.model.sequential import ROWS_LIKE_THESE, SCOPES, THIS_TABLE, SequentialTest

#: Of the design, with its exact figures.
KNOWN = [1, 0, 0, 1, 0, 1, 0, 0, 0, 1, -1, 0, 1, 1, 0, 0, 1, 0, 0, 1]
DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.3, 0.5, 1.0]), max_size=40)


@pytest.mark.parametrize(
    ("n_rows", "low", "high"),
    [(None, -0.109656, 0.697810), (40, 0.013137, 0.601812)],
    ids=["rows like these", "table of 40"],
)
def test_the_interval_of_the_design(n_rows: int | None, low: float, high: float) -> None:
    assert interval(KNOWN, n_rows=n_rows) == pytest.approx((low, high), abs=2e-6)


def test_the_wealth_of_the_design() -> None:
    wealth = Wealth(0.0)
    for difference in KNOWN:
        wealth.add(difference)
    assert (wealth.log_up, wealth.log_down) == pytest.approx((2.107440, -1.251677), abs=1e-6)


@pytest.mark.parametrize(("alpha", "wealth"), [(0.05, 40), (0.05 / 3, 120)], ids=["one", "three"])
def test_a_mean_is_left_out_at_two_over_alpha(alpha: float, wealth: float) -> None:
    assert math.exp(bar(alpha)) == pytest.approx(wealth)


@given(DIFFERENCES)
def test_a_whole_table_is_known_exactly(differences: list[float]) -> None:
    if differences:
        mean = sum(differences) / len(differences)
        assert interval(differences, n_rows=len(differences)) == (mean, mean)


@given(DIFFERENCES, st.sampled_from([None, 40]))
def test_an_interval_only_shrinks_and_mirrors(differences: list[float], n_rows: int | None) -> None:
    low, high = interval(differences, n_rows=n_rows)
    mirrored = interval([-one for one in differences], n_rows=n_rows)
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)
    if len(differences) < 40:  # the last row makes the interval of a table a point
        before = interval(differences[:-1], n_rows=n_rows)
        assert before[0] - 1e-6 <= low <= high <= before[1] + 1e-6


@given(DIFFERENCES, st.sampled_from(SCOPES), st.sampled_from([None, 0.2]))
def test_the_verdict_says_what_the_interval_shows(
    differences: list[float], scope: str, delta: float | None
) -> None:
    n_rows = max(len(differences), 1)
    test = SequentialTest(n_rows, delta=delta, scope=scope)
    for difference in differences:
        test.add(difference)
    low, high = interval(test.differences, n_rows=n_rows if scope == THIS_TABLE else None)
    assert test.interval() == (low, high)
    is_near = delta is not None and -delta < low and high < delta
    shown = "better" if low > 0 else "worse" if high < 0 else "no_difference" if is_near else ""
    if abs(low) > 1e-7 and abs(high) > 1e-7:  # nothing is told apart by rounding
        assert test.verdict == shown


def test_a_decided_test_takes_no_more_pairs() -> None:
    test = SequentialTest(400, scope=ROWS_LIKE_THESE)
    for _ in range(30):
        test.add(1.0)
    n_pairs, shown = test.n_pairs, test.interval()
    for _ in range(30):
        test.add(-1.0)
        test.lose()
    assert (test.verdict, test.n_pairs, test.n_lost) == ("better", n_pairs, 0)
    assert test.interval() == shown and n_pairs < 30


def test_lost_rows_make_a_table_smaller() -> None:
    lost = SequentialTest(4, scope=THIS_TABLE)
    for difference in (1.0, None, 0.0, None):
        lost.lose() if difference is None else lost.add(difference)
    assert lost.interval() == (0.5, 0.5) and lost.n_lost == 2 and lost.verdict == "better"
