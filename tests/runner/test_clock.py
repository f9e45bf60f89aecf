"""The time of limits: it advances while the machine is awake, and never goes back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.runner.clock import LONGEST_TURN_S, AwakeClock

# Quarters, so that sums are exact.
QUARTERS = st.integers(0, 60).map(lambda quarters: quarters / 4)


class Machine:
    """A machine that sleeps when we say so: nothing real can be put to sleep by a test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@given(st.lists(st.tuples(QUARTERS, st.booleans()), max_size=30))
def test_it_never_goes_back_and_a_gap_between_turns_counts_no_more_than_a_turn(
    steps: list[tuple[float, bool]],
) -> None:
    machine = Machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", machine.monotonic)
        clock = AwakeClock()
        assert clock.now() == 0.0
        before, expected, since_turn = 0.0, 0.0, 0.0
        for gap_s, turns in steps:
            machine.now += gap_s
            since_turn += gap_s
            now = clock.turn() if turns else clock.now()
            assert now >= before, "it went back"
            assert now == expected + min(since_turn, LONGEST_TURN_S)
            assert clock.now() == now
            if turns:
                expected, since_turn = now, 0.0
            before = now


def test_it_goes_with_the_real_clock() -> None:
    begin = time.monotonic()
    clock = AwakeClock()
    first = clock.turn()
    second = clock.turn()
    rounding_s = 1e-6
    assert 0.0 <= first <= second <= time.monotonic() - begin + rounding_s
