"""How many processes: one for tasks that do not wait, more where they wait for the API."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.runner.shared.sizing import ALONE_S, Sizing


def grown(sizing: Sizing, n_left: int, max_parallel: float, rounds: int = 20) -> int:
    """How many there are after a while."""
    n_ready, now = 0, 10.0
    for _ in range(rounds):
        n_ready = sizing.wanted(now, n_left=n_left, n_ready=n_ready, max_parallel=max_parallel)
        now += 1.0
    return n_ready


def test_the_first_process_is_alone_until_something_is_known() -> None:
    sizing = Sizing(2)
    assert sizing.wanted(0.0, n_left=100, n_ready=0, max_parallel=8) == 1
    sizing.began(0.0)
    assert sizing.wanted(ALONE_S - 0.1, n_left=100, n_ready=1, max_parallel=8) == 1
    assert sizing.next_at(0.5) == ALONE_S
    assert sizing.wanted(ALONE_S, n_left=100, n_ready=1, max_parallel=8) == 2


def test_tasks_that_do_not_wait_get_a_process_for_half_of_the_cores() -> None:
    sizing = Sizing(4)
    sizing.began(0.0)
    sizing.ended(0.06, 0.06)
    assert grown(sizing, 100, 64) == 2


def test_tasks_that_wait_get_more_and_never_more_than_may_run_at_once() -> None:
    sizing = Sizing(2)
    sizing.began(0.0)
    sizing.ended(1.0, 0.0)
    assert grown(sizing, 100, 64) == 15  # sqrt(100 * 1 / 0.5) = 14.1
    assert grown(sizing, 100, 4) == 4
    assert grown(sizing, 3, 64) == 3


def test_the_number_grows_only_with_what_has_started() -> None:
    sizing = Sizing(2)
    sizing.began(0.0)
    sizing.ended(1.0, 0.0)
    assert [sizing.wanted(9.0 + n, n_left=100, n_ready=1, max_parallel=64) for n in range(5)] == [
        2
    ] * 5
    assert sizing.wanted(20.0, n_left=100, n_ready=2, max_parallel=64) == 4


def test_a_long_task_does_not_hold_up_the_others_whatever_the_mean_says() -> None:
    sizing = Sizing(2)
    sizing.began(0.0)
    for _ in range(100):
        sizing.ended(0.05, 0.05)
    most = {"n_left": 10, "max_parallel": 8}
    assert sizing.wanted(10.0, n_ready=1, n_long=0, **most) == 1
    assert sizing.wanted(10.0, n_ready=1, n_long=1, **most) == 2
    assert sizing.wanted(11.0, n_ready=2, n_long=1, **most) == 1  # one of them is free soon
    assert sizing.wanted(12.0, n_ready=2, n_long=2, **most) == 4


@given(
    st.lists(st.floats(0, 1000), max_size=5),
    st.integers(0, 1000),
    st.integers(0, 50),
    st.floats(1, 100),
    st.integers(1, 64),
)
def test_the_number_is_within_all_limits(
    waits: list[float], n_left: int, n_ready: int, max_parallel: float, n_cores: int
) -> None:
    sizing = Sizing(n_cores)
    sizing.began(0.0)
    for wait_s in waits:
        sizing.ended(wait_s, 0.0)
    n = sizing.wanted(5.0, n_left=n_left, n_ready=n_ready, max_parallel=max_parallel)
    assert 0 <= n <= min(n_left, max_parallel)
    assert n > 0 or n_left == 0
