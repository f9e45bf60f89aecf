"""The forecast of a session: ranges that hold what comes, from the first end on."""

from __future__ import annotations

import statistics

import pytest
from forecast_simulation import KINDS, SIZES, within
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.views.forecast import time_left_s, total_usd
from cpr_nb.views.spread import Sample

SEEDS = range(12)
ANY = st.floats(0, 1e300)


def sample(*values: float) -> Sample:
    one = Sample()
    for value in values:
        one.add(value)
    return one


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_most_ends_and_costs_are_in_the_range(share: float) -> None:
    plays = [within(kind, size, share, seed) for kind in KINDS for size in SIZES for seed in SEEDS]
    assert statistics.fmean(is_end_within for is_end_within, _, _ in plays) > 0.75
    assert statistics.fmean(is_cost_within for _, is_cost_within, _ in plays) > 0.7


def test_the_range_becomes_narrow() -> None:
    widths = [
        statistics.median(within("± 50 %", (400, 8), share, seed)[2] for seed in SEEDS)
        for share in (0.0, 0.1, 0.5)
    ]
    assert widths[0] > widths[1] > widths[2] and widths[2] < 0.3


def test_before_the_first_end_there_is_no_forecast() -> None:
    assert time_left_s(Sample(), [3.0], 5, 2) is None
    assert total_usd(Sample(), 0.0, [0.1], 5) is None


def test_with_nothing_left_there_is_no_forecast() -> None:
    assert time_left_s(sample(60), [], 0, 4) is None
    assert total_usd(sample(0.5), 0.5, [], 0) is None


def test_the_first_end_gives_a_wide_range_around_what_its_like_would_take() -> None:
    low_s, high_s = time_left_s(sample(60), [], 10, 2) or (0, 0)
    assert low_s < 300 < high_s


def test_a_task_that_runs_longer_than_all_others_raises_both_ends() -> None:
    ended = sample(50, 60, 70)
    usual, slow = (time_left_s(ended, [running_s], 4, 1) or (0, 0) for running_s in (10, 600))
    assert slow[1] > usual[1] and slow[0] >= 0


def test_the_total_is_never_below_what_is_spent() -> None:
    expected, low, high = total_usd(sample(0.1, 0.1), 7.0, [5.0], 0) or (0, 0, 0)
    assert 7.0 <= low <= expected <= high


@example(ended=[0.0], running=[], n_pending=1, n_parallel=1)
@given(
    ended=st.lists(ANY, min_size=1, max_size=5),
    running=st.lists(ANY, max_size=5),
    n_pending=st.integers(0, 10**6),
    n_parallel=st.integers(0, 10**6),
)
def test_whatever_the_figures_the_ends_are_in_order(
    ended: list[float], running: list[float], n_pending: int, n_parallel: int
) -> None:
    left_s = time_left_s(sample(*ended), running, n_pending, min(n_parallel, 50))
    assert left_s is None or 0 <= left_s[0] <= left_s[1]
    total = total_usd(sample(*ended), 1.0, running, n_pending)
    assert total is None or 1.0 <= total[1] <= total[0] <= total[2]


@given(values=st.lists(st.floats(0.1, 1e6), min_size=2, max_size=6))
def test_a_value_that_is_removed_leaves_no_trace(values: list[float]) -> None:
    one = sample(*values)
    one.add(values[0], -1)
    rest = sample(*values[1:])
    assert one.n == rest.n and one.mean == pytest.approx(rest.mean, rel=1e-3, abs=1e-6)
