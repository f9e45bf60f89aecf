"""What futures are drawn: exact where nothing is left to chance, finite whatever a folder says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cpr_nb.stats import draws
from cpr_nb.stats.slots import last_end_s

ANY = st.floats(0, 1e300)


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def test_rows_that_are_all_alike_leave_nothing_to_chance() -> None:
    futures = draws.total([2.0] * 10, 30, generator(), n_futures=200)
    assert futures.min() == pytest.approx(60, rel=1e-4)
    assert futures.max() == pytest.approx(60, rel=1e-4)


def test_rows_that_cost_nothing_are_a_share_of_their_own() -> None:
    seen = [1.0, 1.01] * 10 + [0.0] * 20
    middle = draws.predict(draws.total(seen, 400, generator())).value
    assert 170 < middle < 230
    assert draws.total([0.0] * 5, 10, generator(), n_futures=10).tolist() == [0.0] * 10


def test_what_runs_adds_only_what_is_left_of_it() -> None:
    futures = draws.total([10.0, 10.001] * 20, 0, generator(), running=[4.0, 7.0], n_futures=100)
    assert np.median(futures) == pytest.approx(9, rel=0.01)


@pytest.mark.parametrize(
    ("n_seen", "n_ended", "share"), [(0, 12, 0.22), (12, 12, 1.0)], ids=["none", "all"]
)
def test_what_did_not_happen_yet_may_happen(n_seen: int, n_ended: int, share: float) -> None:
    high = draws.count(n_seen, n_ended, 1000, generator()).high
    assert high / 1000 == pytest.approx(share, abs=0.02)


def test_the_longest_row_decides_where_there_are_enough_slots() -> None:
    durations = np.array([[5.0, 1.0, 1.0, 9.0], [1.0, 1.0, 1.0, 1.0]])
    assert last_end_s(np.zeros((2, 0)), [], durations, 4).tolist() == [9.0, 1.0]
    assert last_end_s(np.zeros((2, 0)), [], durations, 1).tolist() == [16.0, 4.0]


def test_more_may_run_than_there_are_slots_now() -> None:
    """Of three that run where one may: the two that end first are not replaced."""
    left, running = np.array([[1.0, 2.0, 3.0]]), [(0.0, 1, 0)] * 3
    assert last_end_s(left, running, np.array([[10.0]]), 1).tolist() == [13.0]
    assert last_end_s(left, running, np.array([[10.0]]), 2).tolist() == [12.0]


@pytest.mark.parametrize(
    ("ended", "n_running", "words"),
    [
        ([1.0, 1.2] * 9, 0, "only 18 rows have ended"),
        ([1.0, 1.2] * 10, 0, ""),
        ([1.0, 1.2] * 10, 11, "11 rows still run"),
        ([0.1, 1.0, 10.0] * 10, 0, "differ by so much"),
        ([1.0, 1.1] * 15 + [30.0], 0, "far above all others"),
    ],
    ids=["few", "alike", "most run", "different", "one large"],
)
def test_when_only_the_low_end_is_to_be_trusted(
    ended: list[float], n_running: int, words: str
) -> None:
    found = draws.why_wide(ended, n_running)
    assert words in found and bool(words) == bool(found)


@example(ended=[0.0, 1e300], running=[1e300], n_more=3)
@example(ended=[1e-300, 1.0], running=[0.0, 1e300], n_more=1)
@settings(max_examples=60, deadline=None)
@given(
    ended=st.lists(ANY, min_size=2, max_size=6),
    running=st.lists(ANY, max_size=4),
    n_more=st.integers(0, 50),
)
def test_whatever_a_folder_says_the_ends_are_in_order(
    ended: list[float], running: list[float], n_more: int
) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        futures = draws.total(ended, n_more, generator(), running=running, n_futures=40)
        prediction = draws.predict(futures)
        rows = [(value, 1, 1) for value in running]
        times = draws.time_s(
            [[v] for v in ended], n_more, 3, generator(), running=rows, n_futures=40
        )
    assert 0 <= prediction.low <= prediction.value <= prediction.high < math.inf
    assert 0 <= times.min() <= times.max() < math.inf
