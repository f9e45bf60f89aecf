"""How many run at once: whatever the API does, within its bounds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.model.limits import LOGIN, USAGE, Limit
from cpr_nb.runner.governor import (
    COOL_S,
    FIRST_PROBE_S,
    LAST_PROBE_S,
    SMALLEST_WINDOW,
    SPACING_S,
    Governor,
)

relaxed = settings(max_examples=300)

MOMENTS = st.lists(st.integers(0, 12).map(lambda quarters: quarters / 4), max_size=40)


def test_without_a_limit_of_the_user_there_is_room_for_all() -> None:
    governor = Governor(0)
    assert governor.may_start(0.0, 10_000)
    assert governor.next_start_at is None


def test_the_first_refusal_halves_what_runs() -> None:
    governor = Governor(0)
    governor.throttled(0.0, 40)
    assert governor.capacity == 20
    assert governor.may_start(1.0, 19) and not governor.may_start(1.0, 20)


def test_the_users_own_limit_stands_above_the_window() -> None:
    governor = Governor(5)
    governor.throttled(0.0, 40)
    assert governor.capacity == 5
    governor.max_parallel = 0
    assert governor.capacity == 20


@relaxed
@given(MOMENTS, st.integers(0, 60))
def test_however_often_the_api_refuses_the_window_halves_once_a_time(
    gaps: list[float], n_active: int
) -> None:
    governor = Governor(0)
    at, before, halved_at = 100.0, float("inf"), -1.0
    for gap in gaps:
        at += gap
        governor.throttled(at, n_active)
        now = governor.capacity
        assert now >= SMALLEST_WINDOW
        assert now <= before
        if now < before:
            assert at - halved_at >= COOL_S
            assert before == float("inf") or now >= before // 2 or now == SMALLEST_WINDOW
            halved_at = at
        before = now


@relaxed
@given(MOMENTS)
def test_starts_are_spread_once_the_api_refuses(gaps: list[float]) -> None:
    governor = Governor(0)
    assert governor.may_start(0.0, 0)
    governor.started(0.0, 0)
    governor.throttled(0.0, 200)
    at, last_at = 0.0, 0.0
    for gap in gaps:
        at += gap
        if governor.may_start(at, 0):
            assert at - last_at >= SPACING_S
            governor.started(at, 0)
            last_at = at
        else:
            assert at - last_at < SPACING_S
        assert governor.next_start_at == last_at + SPACING_S


def test_the_window_grows_by_one_for_as_many_good_ends_as_fit() -> None:
    governor = Governor(0)
    governor.throttled(0.0, 20)
    for _ in range(10):
        governor.ended(10)
    assert governor.capacity == 10, "not yet: the tenth part of eleven is less"
    governor.ended(10)
    assert governor.capacity == 11


def test_a_window_that_nobody_fills_does_not_grow() -> None:
    governor = Governor(0)
    governor.throttled(0.0, 20)
    for _ in range(1000):
        governor.ended(9)
    assert governor.capacity == 10


def test_without_a_refusal_there_is_no_window_to_grow() -> None:
    governor = Governor(3)
    governor.ended(3)
    assert governor.capacity == 3
    assert governor.next_start_at is None


def test_a_session_says_what_it_waits_for_the_disk_before_a_limit() -> None:
    governor = Governor(1)
    assert (governor.reason, governor.notice) == ("", "")
    governor.limited(0.0, Limit(LOGIN), 0)
    assert governor.reason == LOGIN
    assert governor.notice.startswith("not logged in")
    assert "tries again by itself" in governor.notice
    governor.allow_probe()
    governor.started(1.0, 0)
    assert "one task tries now" in governor.notice
    governor.disk = "no space"
    assert governor.reason == "disk"
    assert "no space" in governor.notice
    governor.disk = ""
    governor.probe_over(answered=True)
    governor.limited(2.0, Limit(USAGE), 0)
    assert governor.notice == "the usage limit is reached"
    governor.allow_probe()
    governor.started(1.0, 0)
    assert governor.notice == "the usage limit is reached; one task tries now"


@relaxed
@given(st.lists(st.tuples(st.sampled_from("pgrtwa"), st.integers(0, 400)), max_size=40))
def test_whoever_asks_and_whenever_a_held_session_has_one_probe_and_no_busy_loop(
    steps: list[tuple[str, int]],
) -> None:
    """A person (g), the runner's clock (p), time (t); a probe is refused (r), withdrawn (w)."""
    governor = Governor(0)
    governor.limited(0.0, Limit(USAGE, 10.0), 7)
    at, not_before = 0.0, 0.0
    for step, gap in steps:
        at += gap
        if governor.probe_at is not None and at >= governor.probe_at:
            governor.allow_probe()
        if step == "p":
            governor.probe_due(at)
        elif step == "g":
            governor.allow_probe()
            not_before = at if governor.probe is None else not_before
        elif step == "r" and governor.probe is not None:
            governor.limited(at, Limit(USAGE, 10.0), governor.probe)
            not_before = at + FIRST_PROBE_S
        elif step == "w" and governor.probe is not None:
            governor.probe_withdrawn(at)
            not_before = at + 1.0
        if governor.may_start(at, 0):
            assert governor.probe is None, "two probes"
            assert at >= not_before, "too early"
            governor.started(at, 3)
        assert governor.probe is None or governor.probe_at is None, "it would wake without a reason"
        assert governor.probe_at is None or at < governor.probe_at <= at + LAST_PROBE_S
