"""Pass@k: what is known of rows whose candidates all ran, and of rows in which one ended others."""

from __future__ import annotations

import math

import pytest

from cpr_nb.stats.estimates import share_interval
from cpr_nb.stats.pass_at_k import pass_all_k, pass_at_k

T, F = True, False


def test_where_all_ran_every_choice_of_k_counts() -> None:
    rows = [[T] * 5, [F, T, F, T, F], [F] * 5]
    assert [one.value for one in pass_at_k(rows, in_order=False)] == pytest.approx(
        [(1 + 0.4) / 3, (1 + 0.7) / 3, (1 + 0.9) / 3, 2 / 3, 2 / 3]
    )
    assert [one.value for one in pass_all_k(rows, in_order=False)] == pytest.approx(
        [(1 + 0.4) / 3, (1 + 0.1) / 3, 1 / 3, 1 / 3, 1 / 3]
    )


def test_one_candidate_is_the_share_of_success() -> None:
    rows = [[T] * n + [F] * (5 - n) for n in (5, 5, 4, 5, 0, 5, 3, 5)]
    one = pass_at_k(rows, in_order=False)[0]
    assert (one.low, one.high) == share_interval(
        [n / 5 for n in (5, 5, 4, 5, 0, 5, 3, 5)], [5] * 8
    )[1:3]
    assert (one.low, one.high) == pytest.approx((0.428824, 0.955180), abs=1e-6)


def test_what_the_network_ate_leaves_that_k_only() -> None:
    figures = pass_at_k([[T, F, None], [F, F, F]], in_order=False)
    assert [one.n_rows for one in figures] == [2, 2, 1]
    assert figures[0].value == 0.25


def test_one_after_the_other_is_exact() -> None:
    rows = [[T, None, None], [F, T, None], [F, F, F], [F, F, T]]
    figures = pass_at_k(rows, in_order=True)
    assert [one.value for one in figures] == [0.25, 0.5, 0.75]
    assert pass_all_k(rows, in_order=True) == []


def test_at_once_there_are_bounds_except_for_all_of_them() -> None:
    rows = [[None, T, None], [T, None, None], [F, F, F], [None, None, None]]
    first, second, third = pass_at_k(rows, in_order=True)
    assert (first.at_least, first.at_most) == (0.25, 0.75)
    assert (second.at_least, second.at_most) == (0.5, 0.75)
    assert (third.at_least, third.at_most) == (0.5, 0.75), "one row is not known at all"
    assert math.isnan(first.value) and first.low < 0.25 and first.high > 0.75


def test_without_rows_there_is_nothing() -> None:
    assert pass_at_k([], in_order=True) == [] and pass_at_k([], in_order=False) == []
