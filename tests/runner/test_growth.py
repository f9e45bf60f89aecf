"""How many run at once by default: what the cores carry at first, and more while tasks wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from testkit.machine import PLAN, begin, feed, last_report, machine, starts

from cpr_nb.model.record import AT_FIRST
from cpr_nb.runner.growth import BUSY, MEMORY, MOST, WAITING, Growth
from cpr_nb.runner.messages import Measured, Responded, SetParallel, Throttled, Tick
from cpr_nb.runner.schedule import Schedule

SHARES = st.floats(0, 1)


def grown(n_tasks: int = 40, first: int = 2, most: int = 16) -> Schedule:
    """A machine whose first tasks run, and have been answered."""
    one = machine(*[PLAN] * n_tasks, max_parallel=most, growth=Growth(first, most))
    started = starts(one, Tick(0.0))
    assert started == list(range(first))
    begin(one, 0.0, *started)
    feed(one, Responded(0.5, 0))
    return one


def test_more_tasks_start_while_they_wait_and_up_to_the_most() -> None:
    one = grown()
    n_active = [2]
    for second in range(1, 10):
        new = starts(one, Measured(float(second), 0.1, 100))
        begin(one, float(second), *new)
        n_active.append(n_active[-1] + len(new))
    assert n_active == [2, 3, 4, 6, 9, 13, 16, 16, 16, 16]


def test_short_tasks_keep_the_cores_busy_so_no_more_start() -> None:
    one = grown()
    said = feed(one, Measured(1.0, 0.9, 0))
    assert said == [("ReportParallel", 2, BUSY)]
    assert feed(one, Measured(2.0, 0.95, 0), Measured(3.0, 1.0, 0)) == [], "it is said once"


def test_nothing_grows_before_the_first_answer() -> None:
    one = machine(*[PLAN] * 9, max_parallel=9, growth=Growth(2, 9))
    begin(one, 0.0, *starts(one, Tick(0.0)))
    assert starts(one, Measured(1.0, 0.0, 100)) == []
    assert starts(one, Responded(2.0, 1), Measured(2.0, 0.0, 100)) == [2]


def test_it_grows_no_further_than_memory_is_free() -> None:
    one = grown()
    assert starts(one, Measured(1.0, 0.1, 0)) == []
    assert feed(one, Measured(2.0, 0.1, 1))[-1] == ("ReportParallel", 3, MEMORY)


def test_what_the_api_refuses_counts_more_than_idle_cores() -> None:
    one = grown(first=8)
    feed(one, Throttled(1.0, 1, 0.5))
    assert starts(one, Measured(2.0, 0.0, 100)) == []
    report = last_report(one, Throttled(4.0, 2, 0.5), Tick(5.0))
    assert report is None or "refuses" in report.notice


def test_the_number_that_someone_sets_is_obeyed_as_it_is() -> None:
    one = grown()
    assert len(starts(one, SetParallel(1.0, 5))) == 3
    assert feed(one, Measured(2.0, 0.0, 100)) == []
    assert not one.wants_load()


def test_the_machine_matters_only_while_tasks_wait_for_a_place() -> None:
    assert not machine(*[PLAN] * 9, max_parallel=2).wants_load()
    assert grown().wants_load()
    assert not grown(n_tasks=2).wants_load()


@given(st.integers(1, 20), st.integers(0, 80), st.lists(st.tuples(SHARES, st.integers(0, 99))))
def test_it_stays_between_the_first_and_the_most(
    first: int, more: int, measured: list[tuple[float, int]]
) -> None:
    growth = Growth(first, first + more)
    assert (growth.level, growth.why) == (first, AT_FIRST)
    for busy_share, n_more in measured:
        before = growth.level
        growth.measured(busy_share, n_active=before, n_more=n_more)
        assert first <= growth.level <= first + more
        assert growth.level <= before + max(1, before // 2)
        assert growth.level <= max(before, before + n_more)
        assert growth.level == before or growth.why in (WAITING, BUSY, MEMORY, MOST)


@given(st.integers(1, 64), st.floats(0.01, 1.0))
def test_it_settles_where_the_cores_are_busy_enough(n_cores: int, use: float) -> None:
    """Tasks that each use that share of a core: neither idle cores, nor up and down for ever."""
    growth, levels = Growth(n_cores + 2, 6_400), []
    for _ in range(60):
        busy_share = min(1.0, growth.level * use / n_cores)
        growth.measured(busy_share, n_active=growth.level, n_more=10_000)
        levels.append(growth.level)
    assert len(set(levels[-20:])) == 1
    assert levels[-1] * use / n_cores >= 0.7
    assert levels[-1] == n_cores + 2 or levels[-1] * use / n_cores <= 0.97 + use / n_cores


def test_a_place_that_stays_empty_is_no_reason_for_more() -> None:
    one = machine(PLAN, PLAN, max_parallel=6, growth=Growth(3, 6))
    begin(one, 0.0, *starts(one, Tick(0.0)))
    feed(one, Responded(0.5, 0))
    assert feed(one, Measured(1.0, 0.0, 100)) == []
