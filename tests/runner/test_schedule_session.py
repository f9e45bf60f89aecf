"""What concerns the session as a whole: pauses, the disk, the budget, and its past."""

from __future__ import annotations

import pytest
from testkit.machine import GOOD, begin, done, failed, feed, last_report, machine, running, starts

from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.runner.instructions import CONTINUE, Start
from cpr_nb.runner.messages import (
    Cancel,
    DiskFree,
    DiskFull,
    Ended,
    Pause,
    Postponed,
    Responded,
    Resume,
    Started,
    Tick,
)
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan
from cpr_nb.runner.task_steps import GRACE_S
from cpr_nb.runner.transitions import RESTING, TERMINATING

PLAN = TaskPlan()
SUCCEEDED = RestoredTask(Outcome("succeeded", "completed"), None)
WAS_CANCELLED = RestoredTask(Outcome("cancelled", "cancelled"), None)


def ran(attempt: int = 1, *, cause: str | None = None, n_free: int = 0) -> RestoredTask:
    active = AttemptState(attempt, f"p-{attempt}", "", n_free)
    active.cause = cause
    return RestoredTask(None, active)


def rested(reason: str = "network", attempt: int = 2) -> RestoredTask:
    active = AttemptState(attempt, "p-1", CONTINUE)
    active.outcome = Outcome("failed", reason, "it broke off")
    return RestoredTask(active.outcome, active)


# -- pauses and disks -------------------------------------------------------------------------


def test_a_pause_starts_no_more_tasks_and_running_ones_continue() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Pause(1.0)) == [("ReportState", "paused", "")]
    assert feed(one, Pause(1.5)) == []
    assert feed(one, done(2.0, 0)) == [("Finish", 0, "succeeded", "completed")]
    assert one.next_at is None
    assert feed(one, Resume(3.0)) == [("Start", 1), ("ReportState", "running", "")]


def test_a_paused_session_ends_with_its_last_task() -> None:
    one = running(PLAN)
    feed(one, Pause(1.0))
    assert feed(one, done(2.0, 0))[-1] == ("End", "completed")
    assert feed(one, Resume(3.0), Pause(4.0), DiskFull(5.0, "no space")) == []


def test_a_pause_before_the_beginning_starts_nothing() -> None:
    one = machine(PLAN)
    assert feed(one, Pause(0.0), Tick(0.0)) == [("ReportState", "paused", "")]
    assert feed(one, Resume(1.0)) == [("Start", 0), ("ReportState", "running", "")]


def test_a_full_disk_holds_what_has_not_started() -> None:
    one = machine(PLAN, PLAN, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    tell = last_report(one, DiskFull(1.0, "only 0.1 MB are free on the disk"))
    assert tell is not None
    assert (tell.state, tell.reason) == ("waiting", "disk")
    assert "0.1 MB" in tell.notice
    assert starts(one, done(2.0, 0)) == []
    assert feed(one, DiskFree(3.0)) == [("Start", 1), ("ReportState", "running", "")]


def test_a_task_without_room_for_its_files_starts_first_when_there_is_room() -> None:
    one = machine(*[PLAN] * 3, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Postponed(0.0, 1)) == [("ReportState", "waiting", "disk")], "and not at once"
    assert one.state(1) == RESTING
    assert one.n_active == 1
    assert starts(one, Tick(5.0)) == []
    out = one.handle(DiskFree(6.0))
    (start,) = [i for i in out if isinstance(i, Start)]
    assert (start.task, start.attempt, start.conversation_id) == (1, 1, "c-2")
    assert start.resume == "", "its conversation does not exist yet"


def test_what_was_about_to_start_goes_before_what_rests() -> None:
    one = machine(*[TaskPlan(schema=True, attempts=2)] * 2)
    feed(one, Tick(0.0), Started(0.0, 0), Pause(0.5))
    feed(one, Ended(1.0, 0, Exit(0, result={"is_error": False})), Postponed(1.0, 1))
    assert starts(one, Resume(2.0), DiskFree(3.0)) == [1, 0]


def test_a_cancelled_task_without_room_for_its_files_is_cancelled() -> None:
    one = machine(PLAN, PLAN)
    feed(one, Tick(0.0), Cancel(0.0, 0))
    assert feed(one, Postponed(0.0, 0))[0] == ("Finish", 0, "cancelled", "cancelled")


def test_a_leader_without_room_for_its_files_leads_when_there_is() -> None:
    one = machine(*[PLAN] * 3, groups=[0, 0, 0])
    feed(one, Tick(0.0), Postponed(0.0, 0))
    assert starts(one, DiskFree(1.0)) == [0]
    feed(one, Postponed(1.0, 0), Cancel(2.0, 0))
    assert starts(one, DiskFree(3.0)) == [1], "the next one leads"


# -- the budget -------------------------------------------------------------------------------


def test_a_person_is_warned_at_four_fifths_of_the_budget() -> None:
    one = running(*[TaskPlan(task_budget_usd=2.5)] * 4, budget_usd=10.0)
    assert last_report(one, done(1.0, 0, 7.9)) is None
    tell = last_report(one, done(2.0, 1, 0.1))
    assert tell is not None and "80 % of the budget" in tell.notice
    assert last_report(one, Tick(3.0)) is None, "once"
    tell = last_report(one, done(4.0, 2, 2.0))
    assert tell is not None and "nothing more starts" in tell.notice


def test_a_task_that_has_tried_ends_as_it_did_when_the_budget_is_spent() -> None:
    bounded = TaskPlan(task_budget_usd=0.3)
    again = TaskPlan(attempts=2, task_budget_usd=0.3)
    one = machine(again, bounded, bounded, max_parallel=2, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    feed(one, failed(1.0, 0))
    begin(one, 1.0, 2)
    assert feed(one, done(2.0, 1, 1.0)) == [
        ("Finish", 1, "succeeded", "completed"),
        ("Finish", 0, "failed", "overloaded"),
        ("ReportState", "running", ""),
    ]
    assert feed(one, Tick(99.0)) == []


def test_a_budget_that_is_spent_skips_what_a_pause_holds_too() -> None:
    one = machine(PLAN, PLAN, max_parallel=1, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0), Pause(0.5))
    assert ("Finish", 1, "skipped", "budget") in feed(one, done(1.0, 0, 1.0))


# -- a past -----------------------------------------------------------------------------------


def test_what_has_ended_stays_ended() -> None:
    one = machine(*[PLAN] * 3, restored={0: SUCCEEDED, 2: WAS_CANCELLED})
    assert starts(one, Tick(0.0)) == [1]
    feed(one, Started(0.0, 1), Cancel(1.0, 0), Cancel(1.0, 2))
    assert feed(one, done(2.0, 1)) == [
        ("Finish", 1, "succeeded", "completed"),
        ("End", "completed"),
    ]


def test_a_session_of_which_everything_has_ended_ends_again() -> None:
    assert feed(machine(PLAN, restored={0: SUCCEEDED}), Tick(0.0)) == [("End", "completed")]


def test_a_cancel_is_not_forgotten_by_the_runner_that_comes_next() -> None:
    one = machine(PLAN, PLAN, restored={0: WAS_CANCELLED, 1: SUCCEEDED})
    assert feed(one, Cancel(0.0)) == [("End", "cancelled")]


def test_an_attempt_that_lives_continues() -> None:
    one = machine(TaskPlan(timeout_s=60), PLAN, max_parallel=1, restored={0: ran()})
    assert feed(one, Started(0.0, 0), Tick(0.0)) == [], "it takes the one place"
    assert one.n_active == 1
    assert feed(one, Tick(60.0)) == [("Terminate", 0, "timeout")]
    assert feed(one, Ended(61.0, 0, Exit()))[0] == ("Finish", 0, "timed_out", "timeout")


def test_an_attempt_that_is_gone_is_made_again_and_does_not_count() -> None:
    one = machine(PLAN, restored={0: ran(attempt=3, n_free=2)})
    feed(one, Started(0.0, 0))
    gone = Ended(0.0, 0, Exit(), interrupted=True)
    assert feed(one, gone) == [("Rest", 0, "vanished", 0.0, False)], "nothing starts yet"
    (start, *_) = one.handle(Tick(0.0))
    assert isinstance(start, Start)
    assert (start.attempt, start.conversation_id, start.resume) == (4, "p-3", CONTINUE)
    feed(one, Started(0.0, 0))
    assert feed(one, failed(1.0, 0))[0] == ("Finish", 0, "failed", "overloaded")


def test_an_attempt_that_ended_meanwhile_ends_as_its_stream_says() -> None:
    one = machine(PLAN, TaskPlan(attempts=2), restored={0: ran(), 1: ran()})
    feed(one, Started(0.0, 0), Started(0.0, 1))
    good = Ended(0.0, 0, Exit(result=GOOD), interrupted=True)
    assert feed(one, good) == [("Finish", 0, "succeeded", "completed")]
    bad = failed(0.0, 1)
    bad.interrupted = True
    assert feed(one, bad) == [("Rest", 1, "overloaded", 15.0, True)]


def test_a_task_of_the_past_that_rests_is_not_started_in_its_turn_before_its_time() -> None:
    one = machine(*[TaskPlan(attempts=2)] * 3, max_parallel=1, restored={0: ran(), 1: ran()})
    feed(one, Started(0.0, 0), Started(0.0, 1), failed(0.0, 0), failed(0.0, 1))
    assert starts(one, Tick(0.0)) == [2]
    feed(one, Started(0.0, 2), done(1.0, 2))
    assert starts(one, Tick(14.9)) == []
    assert starts(one, Tick(15.0)) == [0]


def test_a_task_that_rested_comes_back_at_once_with_its_number() -> None:
    one = machine(PLAN, TaskPlan(attempts=2), max_parallel=1, restored={1: rested()})
    assert one.n_active == 0
    (start, *_) = one.handle(Tick(0.0))
    assert isinstance(start, Start)
    assert (start.task, start.attempt, start.conversation_id) == (1, 2, "p-1")
    feed(one, Started(0.0, 1))
    assert feed(one, failed(1.0, 1))[0] == ("Finish", 1, "failed", "overloaded"), "it counts on"


@pytest.mark.parametrize("cause", ["cancelled", "timeout", "silence"])
def test_why_an_attempt_was_to_be_stopped_is_not_forgotten(cause: str) -> None:
    one = machine(PLAN, restored={0: ran(cause=cause)})
    assert one.state(0) == TERMINATING
    assert feed(one, Started(0.0, 0)) == [("Terminate", 0, cause)]
    assert feed(one, Tick(GRACE_S)) == [("Kill", 0)]
    outcome = "cancelled" if cause == "cancelled" else "timed_out"
    out = feed(one, Ended(11.0, 0, Exit(), interrupted=True))
    assert out[0] == ("Finish", 0, outcome, cause)


def test_an_attempt_that_was_being_taken_back_comes_back() -> None:
    one = machine(PLAN, restored={0: ran(cause="throttled")})
    feed(one, Started(0.0, 0))
    out = feed(one, Ended(0.0, 0, Exit(), interrupted=True))
    assert out == [("Rest", 0, "rate_limit", 0.0, False)]


def test_a_cancel_before_the_first_tick_stops_what_lives_and_starts_nothing() -> None:
    one = machine(*[PLAN] * 4, restored={0: ran(), 1: rested(), 2: SUCCEEDED})
    out = feed(one, Started(0.0, 0), Cancel(0.0))
    assert out == [
        ("Terminate", 0, "cancelled"),
        ("Finish", 1, "cancelled", "cancelled"),
        ("Finish", 3, "cancelled", "cancelled"),
    ]
    assert feed(one, Tick(0.0)) == []
    assert feed(one, Ended(1.0, 0, Exit()))[-1] == ("End", "cancelled")


def test_a_cancel_before_the_process_of_the_past_is_found_stops_it_then() -> None:
    one = machine(PLAN, restored={0: ran()})
    assert feed(one, Cancel(0.0, 0)) == []
    assert feed(one, Started(0.0, 0)) == [("Terminate", 0, "cancelled")]


def test_what_was_spent_before_counts_and_is_reported() -> None:
    one = machine(PLAN, PLAN, max_parallel=1, budget_usd=1.0, spent_usd=0.9)
    assert one.spent_usd == 0.9
    tell = last_report(one, Tick(0.0))
    assert tell is not None and "80 %" in tell.notice
    one = machine(PLAN, rested_plan(), budget_usd=1.0, spent_usd=1.0, restored={1: rested()})
    assert feed(one, Tick(0.0)) == [
        ("Finish", 0, "skipped", "budget"),
        ("Finish", 1, "failed", "network"),
        ("End", "completed"),
    ]


def rested_plan() -> TaskPlan:
    return TaskPlan(attempts=5)


def test_an_answer_to_an_attempt_of_the_past_warms_its_group() -> None:
    one = machine(*[PLAN] * 4, groups=[0, 0, 0, 0], restored={0: ran()})
    assert starts(one, Started(0.0, 0), Tick(0.0)) == [1], "nobody knows whether it leads"
    assert starts(one, Responded(1.0, 0)) == [2, 3]
