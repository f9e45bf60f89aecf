"""The state machine's main paths, one by one, and what it costs for many tasks.

``test_schedule_machine.py`` drives it with any order of events.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import pytest
from testkit.machine import FOR_EVER, GOOD, done, feed, machine, readable, running

from cpr_nb.model.outcome import Exit
from cpr_nb.runner import schedule
from cpr_nb.runner.instructions import Start
from cpr_nb.runner.messages import Cancel, Ended, OutputPolled, Started, Tick
from cpr_nb.runner.task_state import TaskPlan
from cpr_nb.runner.task_steps import GRACE_S

# -- starting ---------------------------------------------------------------------------------


def test_the_first_tick_starts_the_tasks_in_their_order() -> None:
    one = machine(*[TaskPlan()] * 3)
    starts = one.handle(Tick(0.0))
    assert readable(starts) == [("Start", 0), ("Start", 1), ("Start", 2)]
    assert all(isinstance(start, Start) and start.attempt == 1 for start in starts)
    assert [start.conversation_id for start in starts] == ["c-1", "c-2", "c-3"]  # type: ignore[attr-defined]


def test_no_more_tasks_run_at_once_than_allowed() -> None:
    one = machine(*[TaskPlan()] * 3, max_parallel=2)
    assert feed(one, Tick(0.0)) == [("Start", 0), ("Start", 1)]
    assert feed(one, Started(0.0, 0), Started(0.0, 1), Tick(1.0)) == []
    assert feed(one, done(2.0, 1)) == [("Finish", 1, "succeeded", "completed"), ("Start", 2)]
    assert one.n_active == 2


def test_the_session_ends_with_its_last_task_and_says_so_once() -> None:
    one = running(TaskPlan(), TaskPlan())
    assert feed(one, done(1.0, 1)) == [("Finish", 1, "succeeded", "completed")]
    assert feed(one, done(2.0, 0)) == [
        ("Finish", 0, "succeeded", "completed"),
        ("End", "completed"),
    ]
    assert feed(one, Tick(3.0), Cancel(4.0), Cancel(5.0, 0), OutputPolled(6.0, 0, 0.0)) == []


def test_a_session_without_tasks_ends_at_once() -> None:
    assert feed(machine(), Tick(0.0)) == [("End", "completed")]


def test_a_task_that_cannot_be_started_fails_and_the_next_one_starts() -> None:
    one = machine(*[TaskPlan()] * 2, max_parallel=1)
    feed(one, Tick(0.0))
    failed = Ended(0.0, 0, Exit(spawn_error="No such file"))
    assert feed(one, failed) == [("Finish", 0, "failed", "spawn"), ("Start", 1)]


def test_a_failed_session_is_completed_too() -> None:
    one = running(TaskPlan())
    assert feed(one, Ended(1.0, 0, Exit(1)))[-1] == ("End", "completed")


def test_an_answer_needs_the_structure_that_its_own_plan_asks_for() -> None:
    one = running(TaskPlan(schema=True), TaskPlan())
    bare = {"is_error": False}
    assert feed(one, Ended(1.0, 0, Exit(0, result=bare)), Ended(1.0, 1, Exit(0, result=bare))) == [
        ("Finish", 0, "failed", "no_structure"),
        ("Finish", 1, "succeeded", "completed"),
        ("End", "completed"),
    ]


# -- cancelling -------------------------------------------------------------------------------


def test_cancelling_a_waiting_task_finishes_it_without_a_process() -> None:
    one = machine(*[TaskPlan()] * 2, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Cancel(1.0, 1)) == [("Finish", 1, "cancelled", "cancelled")]
    assert feed(one, done(2.0, 0))[-1] == ("End", "completed"), "only one of two was cancelled"


def test_cancelling_a_running_task_stops_it_and_kills_it_after_a_while() -> None:
    one = running(TaskPlan())
    assert feed(one, Cancel(1.0, 0)) == [("Terminate", 0, "cancelled")]
    assert one.next_at == 1.0 + GRACE_S
    assert feed(one, Tick(1.0 + GRACE_S - 0.01)) == []
    assert feed(one, Tick(1.0 + GRACE_S)) == [("Kill", 0)]
    assert feed(one, Tick(99.0)) == [], "once is enough"
    assert feed(one, Ended(99.0, 0, Exit(signal=9)))[0] == ("Finish", 0, "cancelled", "cancelled")


def test_a_stopped_task_that_ends_in_time_is_not_killed() -> None:
    one = running(TaskPlan(), TaskPlan())
    feed(one, Cancel(1.0, 0), Ended(2.0, 0, Exit(143)))
    assert feed(one, Tick(50.0)) == []


def test_cancelling_twice_is_cancelling_once() -> None:
    one = running(TaskPlan())
    assert feed(one, Cancel(1.0, 0), Cancel(2.0, 0), Cancel(3.0)) == [("Terminate", 0, "cancelled")]
    assert feed(one, Tick(1.0 + GRACE_S)) == [("Kill", 0)]


def test_cancelling_between_the_intent_and_the_process_stops_the_process_at_once() -> None:
    one = machine(TaskPlan(timeout_s=60))
    feed(one, Tick(0.0))
    assert feed(one, Cancel(0.5, 0)) == []
    assert feed(one, Started(1.0, 0)) == [("Terminate", 0, "cancelled")]
    assert feed(one, Tick(1.0 + GRACE_S)) == [("Kill", 0)]


def test_cancelling_all_ends_the_session_as_cancelled() -> None:
    one = machine(*[TaskPlan()] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Cancel(1.0)) == [
        ("Terminate", 0, "cancelled"),
        ("Finish", 1, "cancelled", "cancelled"),
        ("Finish", 2, "cancelled", "cancelled"),
    ]
    assert feed(one, Ended(2.0, 0, Exit(143))) == [
        ("Finish", 0, "cancelled", "cancelled"),
        ("End", "cancelled"),
    ]


def test_a_session_whose_tasks_all_answered_before_the_cancel_is_completed() -> None:
    one = running(TaskPlan())
    assert feed(one, Cancel(1.0), Ended(2.0, 0, Exit(143, result=GOOD))) == [
        ("Terminate", 0, "cancelled"),
        ("Finish", 0, "succeeded", "completed"),
        ("End", "completed"),
    ]


def test_cancelling_before_the_first_tick_starts_nothing() -> None:
    one = machine(*[TaskPlan()] * 2)
    assert feed(one, Cancel(0.0)) == [
        ("Finish", 0, "cancelled", "cancelled"),
        ("Finish", 1, "cancelled", "cancelled"),
        ("End", "cancelled"),
    ]


# -- time -------------------------------------------------------------------------------------


def test_a_task_that_takes_too_long_is_stopped_then_killed() -> None:
    one = running(TaskPlan(timeout_s=60))
    assert one.next_at == 60.0
    assert feed(one, Tick(59.9)) == []
    assert feed(one, Tick(60.5)) == [("Terminate", 0, "timeout")]
    assert feed(one, Tick(60.5 + GRACE_S)) == [("Kill", 0)]
    ended = Ended(71.0, 0, Exit(signal=9))
    assert feed(one, ended)[0] == ("Finish", 0, "timed_out", "timeout")


def test_a_timeout_counts_from_the_tasks_own_start() -> None:
    one = machine(TaskPlan(timeout_s=10))
    feed(one, Tick(0.0), Started(5.0, 0))
    assert feed(one, Tick(14.9)) == []
    assert feed(one, Tick(15.0)) == [("Terminate", 0, "timeout")]


def test_the_first_reason_to_stop_a_task_stays() -> None:
    one = running(TaskPlan(timeout_s=60))
    feed(one, Tick(60.0))
    assert feed(one, Cancel(61.0)) == []
    assert feed(one, Ended(62.0, 0, Exit(143)))[0] == ("Finish", 0, "timed_out", "timeout")


def test_a_silent_task_is_listened_to_and_stopped() -> None:
    one = running(TaskPlan(silence_s=30))
    assert feed(one, Tick(30.0)) == [("PollOutput", 0)]
    assert feed(one, OutputPolled(30.0, 0, 10.0)) == []
    assert one.next_at == 40.0, "thirty seconds after it wrote last"
    assert feed(one, Tick(40.0)) == [("PollOutput", 0)]
    assert feed(one, OutputPolled(40.0, 0, 10.0)) == [("Terminate", 0, "silence")]
    assert feed(one, Ended(41.0, 0, Exit(143)))[0] == ("Finish", 0, "timed_out", "silence")


def test_a_task_whose_tool_runs_is_not_silent() -> None:
    one = running(TaskPlan(silence_s=30))
    feed(one, Tick(30.0))
    assert feed(one, OutputPolled(30.0, 0, 0.0, FOR_EVER)) == []
    assert one.next_at == 60.0


def test_a_task_that_is_listened_to_may_still_take_too_long() -> None:
    one = running(TaskPlan(silence_s=30, timeout_s=50))
    feed(one, Tick(30.0), OutputPolled(30.0, 0, 29.0))
    assert feed(one, Tick(50.0)) == [("Terminate", 0, "timeout")]


def test_what_is_heard_of_a_stopped_task_changes_nothing() -> None:
    one = running(TaskPlan(silence_s=30))
    feed(one, Tick(30.0), Cancel(31.0))
    assert feed(one, OutputPolled(32.0, 0, 0.0)) == []
    assert feed(one, Ended(33.0, 0, Exit(143)))[0] == ("Finish", 0, "cancelled", "cancelled")


def test_without_limits_the_machine_wants_no_tick() -> None:
    assert running(TaskPlan()).next_at is None


# -- budget -----------------------------------------------------------------------------------


def test_no_task_starts_once_the_budget_is_spent_and_running_ones_continue() -> None:
    one = machine(*[TaskPlan(task_budget_usd=0.5)] * 4, max_parallel=2, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert feed(one, done(1.0, 0, 1.0)) == [
        ("Finish", 0, "succeeded", "completed"),
        ("Finish", 2, "skipped", "budget"),
        ("Finish", 3, "skipped", "budget"),
        ("ReportState", "running", ""),
    ]
    assert feed(one, done(2.0, 1, 0.5))[-1] == ("End", "completed")
    assert one.spent_usd == 1.5


def test_a_cost_that_is_not_known_spends_nothing() -> None:
    one = machine(*[TaskPlan()] * 2, max_parallel=1, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, done(1.0, 0, None))[-1] == ("Start", 1)
    assert one.spent_usd == 0.0


def test_a_failed_task_spends_too() -> None:
    one = machine(*[TaskPlan()] * 2, max_parallel=1, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert ("Finish", 1, "skipped", "budget") in feed(one, Ended(1.0, 0, Exit(1), 2.0))


# -- what it costs ----------------------------------------------------------------------------


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of schedule.py a piece of work executes: a cost that no load changes."""
    counted = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal counted
        if frame.f_code.co_filename != schedule.__file__:
            return None
        counted += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


def work_through(n_tasks: int) -> None:
    one = machine(*[TaskPlan(timeout_s=9e9, silence_s=9e9)] * n_tasks, max_parallel=8)
    queue: list[int] = [start.task for start in one.handle(Tick(0.0))]
    clock = count(1)
    for task in queue:  # grows while it is read
        one.handle(Started(next(clock), task))
        out = one.handle(done(next(clock), task))
        queue += [start.task for start in out if isinstance(start, Start)]
    assert len(queue) == n_tasks
    assert one.n_active == 0


def time_out_all(n_tasks: int) -> None:
    one = running(*[TaskPlan(timeout_s=1)] * n_tasks)
    assert len(one.handle(Tick(1.0))) == n_tasks
    assert len(one.handle(Tick(1.0 + GRACE_S))) == n_tasks


def cancel_each(n_tasks: int) -> None:
    one = machine(*[TaskPlan()] * n_tasks, max_parallel=1)
    one.handle(Tick(0.0))
    for task in range(1, n_tasks):
        one.handle(Cancel(1.0, task))


def cancel_all(n_tasks: int) -> None:
    assert len(running(*[TaskPlan()] * n_tasks).handle(Cancel(1.0))) == n_tasks


def skip_all(n_tasks: int) -> None:
    one = machine(*[TaskPlan()] * n_tasks, max_parallel=1, budget_usd=1.0)
    one.handle(Tick(0.0))
    one.handle(Started(0.0, 0))
    assert len(one.handle(done(1.0, 0, 5.0))) == n_tasks + 1


WORK: list[Callable[[int], None]] = [work_through, time_out_all, cancel_each, cancel_all, skip_all]


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_ten_thousand_tasks_take_ten_times_the_steps_of_a_thousand(
    work: Callable[[int], None],
) -> None:
    few, many = lines_run(lambda: work(1_000)), lines_run(lambda: work(10_000))
    assert few > 1_000
    assert many < 10.5 * few
