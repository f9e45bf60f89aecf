"""While everything waits for a limit, one task probes: when, which, and what ends the wait."""

from __future__ import annotations

import pytest
from testkit.machine import (
    PLAN,
    done,
    failed,
    feed,
    last_report,
    machine,
    refused,
    running,
    starts,
    waiting,
)

from cpr_nb.model.limits import LOGIN, USAGE, Limit
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.governor import FIRST_PROBE_S, LAST_PROBE_S
from cpr_nb.runner.messages import (
    Cancel,
    DiskFree,
    Ended,
    Limited,
    Pause,
    Postponed,
    Probe,
    Responded,
    Resume,
    Started,
    Tick,
)
from cpr_nb.runner.task_state import TaskPlan

# -- one task probes --------------------------------------------------------------------------


def test_when_the_reset_comes_one_task_probes_and_an_answer_ends_the_wait() -> None:
    one = waiting(until_s=50.0)
    assert one.next_at is None, "the runner's own clock tells of a moment of the day"
    feed(one, done(2.0, 1))
    out = feed(one, Probe(50.0))
    assert out == [("Start", 2), ("ReportState", "waiting", "limit")]
    assert starts(one, Started(50.0, 2), Tick(51.0), Probe(52.0), Resume(53.0)) == []
    assert feed(one, Responded(54.0, 2)) == [("Start", 0), ("ReportState", "running", "")]


def test_a_good_end_of_the_probe_ends_the_wait_too() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2))
    assert starts(one, done(54.0, 2)) == [0, 3]


def test_a_failure_that_is_no_limit_ends_the_wait_too() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2))
    assert starts(one, failed(54.0, 2, status=400)) == [0, 3]


def test_a_structure_that_is_missing_is_an_answer() -> None:
    one = machine(TaskPlan(schema=True), PLAN, PLAN, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(1.0, 0, USAGE, 50.0))
    assert starts(one, Probe(50.0)) == [1]
    feed(one, Started(50.0, 1), Responded(51.0, 1))
    one = machine(*[TaskPlan(schema=True)] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(1.0, 0, USAGE, 50.0), Probe(50.0))
    bare = Ended(51.0, 1, Exit(0, result={"is_error": False}))
    feed(one, Started(50.0, 1))
    assert starts(one, bare) == [0]


def test_an_answer_to_another_task_says_nothing_of_a_usage_limit() -> None:
    one = waiting(until_s=50.0)
    assert feed(one, Responded(2.0, 1)) == []
    assert starts(one, Tick(3.0), Probe(50.0)) == [2]


UNHEARD: list[Ended] = [
    Ended(52.0, 2, Exit(spawn_error="No such file")),
    Ended(52.0, 2, Exit(2, stderr="unknown option")),
    failed(52.0, 2),
    Ended(52.0, 2, Exit(signal=9)),
]


@pytest.mark.parametrize("end", UNHEARD, ids=["spawn", "usage_error", "overloaded", "signal"])
def test_a_probe_that_says_nothing_is_followed_by_another_soon_but_not_at_once(
    end: Ended,
) -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2))
    assert starts(one, end) == []
    assert starts(one, Probe(52.0)) == [], "the runner's clock knows no better"
    assert one.next_at == 53.0
    assert len(starts(one, Tick(53.0))) == 1


def test_a_probe_that_took_too_long_says_nothing() -> None:
    one = machine(PLAN, *[TaskPlan(timeout_s=10)] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(1.0, 0, USAGE, 50.0), Probe(50.0))
    feed(one, Started(50.0, 1), Tick(60.0))
    assert starts(one, Ended(61.0, 1, Exit(143))) == []
    assert starts(one, Tick(62.0)) == [2]


def test_a_cancelled_probe_is_followed_by_another() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2), Cancel(51.0, 2))
    assert starts(one, refused(52.0, 2, USAGE)) == []
    assert starts(one, Tick(53.0)) == [3]


def test_a_probe_without_room_on_the_disk_is_followed_by_another() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Postponed(50.0, 2))
    assert starts(one, Tick(52.0)) == []
    assert len(starts(one, DiskFree(53.0))) == 1


def test_a_probe_that_is_refused_waits_twice_as_long_each_time() -> None:
    one = machine(*[PLAN] * 20, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(0.0, 0, USAGE))
    at, pauses = 0.0, []
    for _ in range(7):
        assert one.next_at is not None
        pauses.append(one.next_at - at)
        at = one.next_at
        (task,) = starts(one, Tick(at))
        feed(one, Started(at, task), refused(at, task, USAGE))
    assert pauses == [60.0, 120.0, 240.0, 480.0, LAST_PROBE_S, LAST_PROBE_S, LAST_PROBE_S]


def test_after_an_answer_the_next_limit_begins_again() -> None:
    one = machine(*[PLAN] * 9, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(0.0, 0, USAGE))
    (task,) = starts(one, Tick(FIRST_PROBE_S))
    feed(one, Started(60.0, task))
    (task,) = starts(one, done(70.0, task))
    feed(one, Started(70.0, task), refused(80.0, task, USAGE))
    assert one.next_at == 80.0 + FIRST_PROBE_S


def test_a_reset_that_was_none_is_not_asked_about_again_at_once() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2))
    tell = last_report(one, refused(51.0, 2, USAGE, 50.0))
    assert tell is not None and tell.until_s == 50.0, "the runner's clock will say: now"
    assert starts(one, Probe(51.0), Probe(51.5)) == []
    assert one.next_at == 51.0 + 2 * FIRST_PROBE_S
    assert len(starts(one, Tick(51.0 + 2 * FIRST_PROBE_S))) == 1


def test_a_person_may_have_it_tried_at_any_time() -> None:
    one = waiting(until_s=5000.0)
    feed(one, done(2.0, 1))
    assert starts(one, Resume(3.0)) == [2]
    feed(one, Started(3.0, 2), refused(4.0, 2, USAGE, 5000.0))
    assert len(starts(one, Resume(5.0))) == 1


def test_the_clock_of_the_reset_does_not_wake_a_machine_whose_probe_runs() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2), refused(51.0, 2, USAGE, 50.0))
    assert starts(one, Resume(52.0)) == [3]
    feed(one, Started(52.0, 3), Probe(53.0))
    feed(one, Tick(200.0))
    assert one.next_at is None, "or the runner would turn without a pause"


def test_a_probe_keeps_to_the_number_that_may_run_at_once() -> None:
    one = machine(PLAN, PLAN, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), Limited(1.0, 0, Limit(USAGE, 50.0)))
    assert starts(one, Probe(50.0)) == []
    assert starts(one, done(51.0, 0)) == [1]


def test_a_pause_holds_a_probe_back() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1))
    assert starts(one, Pause(3.0), Probe(50.0), Tick(60.0)) == []
    assert starts(one, Resume(70.0)) == [2]


def test_a_limit_while_nothing_else_waits_is_probed_by_the_refused_task_itself() -> None:
    one = running(PLAN)
    feed(one, refused(1.0, 0, LOGIN))
    assert starts(one, Tick(60.9)) == []
    assert starts(one, Tick(61.0)) == [0]


def test_over_the_budget_no_task_waits_for_a_limit() -> None:
    one = machine(PLAN, PLAN, max_parallel=1, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    end = refused(1.0, 0, USAGE)
    end.cost_usd = 1.0
    assert feed(one, end) == [
        ("Rest", 0, "rate_limit", 0.0, False),
        ("Finish", 0, "failed", "rate_limit"),
        ("Finish", 1, "skipped", "budget"),
        ("End", "completed"),
    ]
