"""Further attempts, refusals for now, checks, groups: the state machine's ways for one task."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from testkit.machine import GOOD, begin, done, failed, feed, last_report, machine, running, starts

from cpr_nb.model.backoff import PASSING, backoff_s
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.governor import COOL_S, PATIENCE_S, SMALLEST_WINDOW, SPACING_S
from cpr_nb.runner.instructions import ASK_FOR_STRUCTURE, CONTINUE, Finish, Instruction, Start
from cpr_nb.runner.messages import (
    Cancel,
    Checked,
    Ended,
    OutputPolled,
    Pause,
    Responded,
    Resume,
    SetParallel,
    SetupRefused,
    Started,
    Throttled,
    Tick,
)
from cpr_nb.runner.task_state import TaskPlan
from cpr_nb.runner.task_steps import GRACE_S

PLAN = TaskPlan()
CHECKED = TaskPlan(check=True, check_timeout_s=60)


def the_start(instructions: list[Instruction]) -> Start:
    (start,) = [one for one in instructions if isinstance(one, Start)]
    return start


def the_words(instructions: list[Instruction]) -> str:
    (finish,) = [one for one in instructions if isinstance(one, Finish)]
    return finish.outcome.error


# -- further attempts -------------------------------------------------------------------------


def test_an_attempt_that_may_pass_is_followed_by_another_after_a_while() -> None:
    one = running(TaskPlan(attempts=2), PLAN)
    delay_s = backoff_s("overloaded", 1, 0.5)
    assert feed(one, failed(1.0, 0)) == [("Rest", 0, "overloaded", delay_s, True)]
    assert one.next_at == 1.0 + delay_s
    assert one.n_active == 1, "a task that rests takes no place"
    assert feed(one, Tick(1.0 + delay_s - 0.1)) == []
    start = the_start(one.handle(Tick(1.0 + delay_s)))
    assert (start.attempt, start.conversation_id, start.resume) == (2, "c-1", CONTINUE)
    feed(one, Started(20.0, 0))
    assert feed(one, failed(21.0, 0)) == [("Finish", 0, "failed", "overloaded")]


def test_each_further_attempt_waits_twice_as_long() -> None:
    one = running(TaskPlan(attempts=4))
    at, pauses = 0.0, []
    for _ in range(3):
        (rest,) = feed(one, failed(at, 0))
        pauses.append(rest[3])
        at += rest[3]
        assert starts(one, Tick(at)) == [0]
        begin(one, at, 0)
    first_s = PASSING["overloaded"]
    assert pauses == [first_s, 2 * first_s, 4 * first_s]


def test_a_task_without_its_structure_is_asked_for_it_at_once() -> None:
    one = running(TaskPlan(attempts=2, schema=True))
    out = one.handle(Ended(1.0, 0, Exit(0, result={"is_error": False})))
    start = the_start(out)
    assert (start.attempt, start.resume) == (2, ASK_FOR_STRUCTURE)


def test_what_will_not_pass_is_not_tried_again() -> None:
    one = running(TaskPlan(attempts=9))
    assert feed(one, failed(1.0, 0, status=400))[0] == ("Finish", 0, "failed", "api_error")


def test_a_task_that_rests_may_be_cancelled() -> None:
    one = running(TaskPlan(attempts=2), PLAN)
    feed(one, failed(1.0, 0))
    assert feed(one, Cancel(2.0, 0)) == [("Finish", 0, "cancelled", "cancelled")]
    assert feed(one, Tick(99.0)) == []
    assert one.n_active == 1


def test_an_attempt_that_was_interrupted_does_not_count() -> None:
    one = running(PLAN)
    for attempt in (2, 3, 4):
        out = one.handle(Ended(1.0, 0, Exit(), interrupted=True))
        start = the_start(out)
        assert (start.attempt, start.resume, start.conversation_id) == (attempt, CONTINUE, "c-1")
        begin(one, 1.0, 0)
    assert feed(one, failed(2.0, 0))[0][0] == "Finish"


def test_attempts_that_do_not_count_take_none_from_those_that_do() -> None:
    one = running(TaskPlan(attempts=2))
    for _ in range(3):
        assert starts(one, Ended(1.0, 0, Exit(), interrupted=True)) == [0]
        begin(one, 1.0, 0)
    first_s = PASSING["overloaded"]
    assert feed(one, failed(2.0, 0)) == [("Rest", 0, "overloaded", first_s, True)]
    assert starts(one, Tick(99.0)) == [0]
    begin(one, 99.0, 0)
    assert feed(one, failed(100.0, 0))[0] == ("Finish", 0, "failed", "overloaded")


def test_an_attempt_with_a_result_ends_as_the_result_says_even_if_unread() -> None:
    one = running(PLAN, PLAN)
    good = Ended(1.0, 0, Exit(result=GOOD), interrupted=True)
    assert feed(one, good) == [("Finish", 0, "succeeded", "completed")]
    bad = Ended(1.0, 1, Exit(result={"is_error": True}), interrupted=True)
    assert feed(one, bad)[0] == ("Finish", 1, "failed", "unknown")


def test_an_attempt_that_we_stopped_is_not_saved_by_an_interruption() -> None:
    one = running(TaskPlan(timeout_s=9))
    feed(one, Tick(9.0))
    assert feed(one, Ended(9.5, 0, Exit(), interrupted=True))[0] == (
        "Finish",
        0,
        "timed_out",
        "timeout",
    )


def test_a_conversation_that_did_not_exist_is_replaced_for_good() -> None:
    one = running(TaskPlan(attempts=3))
    feed(one, failed(0.0, 0))
    assert starts(one, Tick(99.0)) == [0]
    feed(one, Started(99.0, 0, "c-new"), failed(100.0, 0))
    assert the_start(one.handle(Tick(999.0))).conversation_id == "c-new"


def test_a_denied_call_fails_a_task_that_asked_for_it() -> None:
    one = running(TaskPlan(fail_on_denied=True, schema=True, attempts=3), PLAN)
    denied = {"is_error": False, "permission_denials": [{"tool_name": "WebFetch"}]}
    out = one.handle(Ended(1.0, 0, Exit(0, result=denied)))
    assert the_words(out) == "denied: WebFetch"
    assert feed(one, Ended(1.0, 1, Exit(0, result=denied)))[0][2] == "succeeded"


def test_a_task_that_writes_nothing_is_stopped_for_that() -> None:
    one = running(TaskPlan(first_byte_s=20))
    assert feed(one, Tick(20.0)) == [("PollOutput", 0)]
    assert feed(one, OutputPolled(20.0, 0, None)) == [("Terminate", 0, "no_first_byte")]
    one = running(TaskPlan(first_byte_s=20))
    assert feed(one, Tick(20.0), OutputPolled(20.0, 0, 3.0)) == [("PollOutput", 0)]
    assert one.next_at is None, "it has written; nothing else limits it"


def test_the_clis_own_wait_explains_a_silence() -> None:
    one = running(TaskPlan(silence_s=10))
    feed(one, Tick(10.0))
    assert feed(one, OutputPolled(10.0, 0, 1.0, busy_until=8.0)) == []
    assert one.next_at == 18.0
    assert feed(one, Tick(18.0), OutputPolled(18.0, 0, 1.0, busy_until=8.0))[-1] == (
        "Terminate",
        0,
        "silence",
    )


# -- the CLI's set-up is not as asked ---------------------------------------------------------


def test_a_task_whose_setup_is_refused_is_killed_at_once_and_not_repeated() -> None:
    one = running(TaskPlan(attempts=3))
    kills = [("Terminate", 0, "setup_refused"), ("Kill", 0)]
    assert feed(one, SetupRefused(1.0, 0)) == kills
    assert feed(one, SetupRefused(1.1, 0)) == [], "once"
    end = Exit(signal=9, setup_problem="no server")
    assert feed(one, Ended(1.2, 0, end))[0] == ("Finish", 0, "failed", "setup_refused")


# -- the API refuses for now ------------------------------------------------------------------


def test_a_task_whose_cli_would_wait_long_for_its_first_answer_is_taken_back() -> None:
    one = running(*[PLAN] * 8)
    assert feed(one, Throttled(1.0, 0, PATIENCE_S)) == [("ReportState", "running", "")]
    assert feed(one, Throttled(1.0, 0, PATIENCE_S + 0.1)) == [("Terminate", 0, "throttled")]
    assert feed(one, Throttled(1.5, 0, 60.0)) == [], "once"
    assert feed(one, Ended(2.0, 0, Exit(143))) == [("Rest", 0, "rate_limit", 0.0, False)]
    assert one.n_active == 7
    for task in (1, 2, 3):
        feed(one, done(3.0, task))
    start = the_start(one.handle(done(4.0, 4)))
    assert (start.task, start.attempt) == (0, 2)


def test_a_task_that_was_answered_is_not_taken_back() -> None:
    one = running(PLAN, PLAN)
    feed(one, Responded(1.0, 0))
    assert feed(one, Throttled(2.0, 0, 60.0)) == []


def test_a_good_answer_of_a_task_that_was_to_be_taken_back_is_kept() -> None:
    one = running(PLAN)
    feed(one, Throttled(1.0, 0, 60.0))
    out = feed(one, Ended(2.0, 0, Exit(143, result=GOOD)))
    assert out[0] == ("Finish", 0, "succeeded", "completed")


def test_a_task_that_is_taken_back_may_be_cancelled() -> None:
    one = running(PLAN)
    feed(one, Throttled(1.0, 0, 60.0))
    assert feed(one, Cancel(1.5, 0)) == [], "it is being stopped already"
    out = feed(one, Ended(2.0, 0, Exit(143)))
    assert out[0] == ("Finish", 0, "cancelled", "cancelled")


def test_after_a_refusal_half_as_many_run_at_once_and_starts_are_spread() -> None:
    one = machine(*[PLAN] * 30, max_parallel=12)
    begin(one, 0.0, *starts(one, Tick(0.0)))
    tell = last_report(one, Throttled(1.0, 0, 1.0))
    assert tell is not None and "fewer tasks" in tell.notice
    assert feed(one, Throttled(1.0 + COOL_S - 0.1, 1, 1.0)) == [], "the same trouble"
    for task in range(6):
        assert starts(one, done(2.0, task)) == []
    assert one.n_active == 6
    (task,) = starts(one, done(2.1, 6))
    assert starts(one, done(2.2, 7)) == []
    assert one.next_at == 2.1 + SPACING_S
    assert len(starts(one, Tick(2.1 + SPACING_S))) == 1


def test_the_window_never_gets_smaller_than_the_smallest() -> None:
    one = machine(*[PLAN] * 40, max_parallel=8)
    begin(one, 0.0, *starts(one, Tick(0.0)))
    for turn in range(10):
        feed(one, Throttled(turn * COOL_S, 7, 1.0))
    for task in range(8):
        feed(one, failed(30.0, task, status=400))
    at = 30.0
    for _ in range(10):
        at += SPACING_S
        begin(one, at, *starts(one, Tick(at)))
    assert one.n_active == SMALLEST_WINDOW


def test_the_window_grows_by_one_when_as_many_tasks_as_fit_have_ended_well() -> None:
    one = machine(*[PLAN] * 60, max_parallel=8)
    active = starts(one, Tick(0.0))
    begin(one, 0.0, *active)
    feed(one, Throttled(0.0, 0, 1.0))
    at = 1.0
    sizes = []
    for _ in range(30):
        feed(one, done(at, active.pop(0)))
        while one.next_at is not None:
            at = one.next_at
            new = starts(one, Tick(at))
            begin(one, at, *new)
            active += new
        sizes.append(one.n_active)
    assert min(sizes) == 4, "half of eight"
    grown = sizes[sizes.index(4) :]
    assert max(grown) == 8, "the user's own limit stands"
    first = [grown.index(size) for size in (5, 6, 7, 8)]
    assert [later - one for one, later in pairwise(first)] == [5, 7, 7], "by one, not by leaps"


def test_a_lower_number_stops_nothing_and_a_higher_one_starts_at_once() -> None:
    one = machine(*[PLAN] * 9, max_parallel=4)
    begin(one, 0.0, *starts(one, Tick(0.0)))
    assert feed(one, SetParallel(1.0, 1)) == []
    assert starts(one, done(2.0, 0), done(2.0, 1), done(2.0, 2)) == []
    assert starts(one, SetParallel(3.0, 3)) == [4, 5]
    assert starts(one, SetParallel(4.0, 0)) == [6, 7, 8]


# -- the user's own check ---------------------------------------------------------------------


def test_a_task_that_succeeded_is_checked_before_it_has() -> None:
    one = running(CHECKED, CHECKED)
    assert feed(one, done(1.0, 0), done(1.0, 1)) == [("Check", 0), ("Check", 1)]
    assert one.n_active == 2
    assert feed(one, Checked(2.0, 0, "")) == [("Finish", 0, "succeeded", "completed")]
    out = one.handle(Checked(2.0, 1, "exit 1"))
    assert the_words(out) == "exit 1"
    assert feed(one, Tick(2.0)) == []


def test_a_task_that_failed_is_not_checked() -> None:
    one = running(CHECKED)
    assert feed(one, failed(1.0, 0, status=400))[0] == ("Finish", 0, "failed", "api_error")


def test_a_check_that_fails_is_no_reason_for_another_attempt() -> None:
    one = running(TaskPlan(check=True, attempts=5))
    feed(one, done(1.0, 0))
    assert feed(one, Checked(2.0, 0, "exit 1"))[0] == ("Finish", 0, "failed", "check_failed")


def test_a_check_that_takes_too_long_is_stopped_killed_and_not_passed() -> None:
    one = running(CHECKED)
    feed(one, done(1.0, 0))
    assert one.next_at == 61.0
    assert feed(one, Tick(61.0)) == [("Terminate", 0, "check_timeout")]
    assert feed(one, Tick(61.0 + GRACE_S)) == [("Kill", 0)]
    out = one.handle(Checked(72.0, 0, ""))
    assert the_words(out) == "the check took longer than 60 s"


def test_a_check_without_a_limit_runs_as_long_as_it_likes() -> None:
    one = running(TaskPlan(check=True, timeout_s=5))
    feed(one, done(1.0, 0))
    assert feed(one, Tick(1e6)) == []


@pytest.mark.parametrize("error", ["", "ended by signal 15"])
def test_a_cancel_while_it_is_checked_cancels_the_task(error: str) -> None:
    one = running(CHECKED)
    feed(one, done(1.0, 0))
    assert feed(one, Cancel(2.0, 0), Cancel(2.5)) == [("Terminate", 0, "cancelled")]
    assert feed(one, Tick(2.0 + GRACE_S)) == [("Kill", 0)]
    assert feed(one, Checked(13.0, 0, error))[0] == ("Finish", 0, "cancelled", "cancelled")


def test_a_good_answer_after_the_cancel_is_not_good_without_its_check() -> None:
    one = running(CHECKED)
    feed(one, Cancel(1.0, 0))
    out = feed(one, Ended(2.0, 0, Exit(143, result=GOOD)))
    assert out[0] == ("Finish", 0, "cancelled", "cancelled")


def test_a_task_that_was_stopped_after_its_good_answer_is_checked() -> None:
    one = running(TaskPlan(timeout_s=5, check=True, check_timeout_s=60))
    feed(one, Tick(5.0))
    assert feed(one, Ended(6.0, 0, Exit(143, result=GOOD))) == [("Check", 0)]
    assert feed(one, Tick(5.0 + GRACE_S)) == [], "the check has its own time"
    assert feed(one, Checked(20.0, 0, ""))[0] == ("Finish", 0, "succeeded", "completed")


# -- groups -----------------------------------------------------------------------------------


def test_one_of_a_group_leads_until_it_is_answered() -> None:
    one = machine(*[PLAN] * 5, groups=[0, 0, 0, 1, 1])
    out = feed(one, Tick(0.0))
    assert out == [("Start", 0), ("Start", 3), ("ReportState", "running", "")]
    begin(one, 0.0, 0, 3)
    assert starts(one, Tick(5.0)) == []
    assert starts(one, Responded(6.0, 0)) == [1, 2]
    assert starts(one, done(7.0, 3)) == [4], "a good end is an answer too"


def test_the_start_and_the_end_of_warming_the_cache_are_reported() -> None:
    one = machine(PLAN, PLAN, groups=[0, 0])
    tell = last_report(one, Tick(0.0), Started(0.0, 0))
    assert tell is not None and "cache" in tell.notice
    tell = last_report(one, Responded(1.0, 0))
    assert tell is not None and tell.notice == ""


ENDS: list[Any] = [
    failed(1.0, 0),
    failed(1.0, 0, status=400),
    Ended(1.0, 0, Exit(spawn_error="No such file")),
    Ended(1.0, 0, Exit(), interrupted=True),
]


@pytest.mark.parametrize("end", ENDS)
def test_a_leader_that_ends_without_an_answer_lets_the_next_one_lead(end: Ended) -> None:
    one = machine(*[TaskPlan(attempts=3)] * 4, groups=[0] * 4)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert starts(one, end) == [1]


def test_a_leader_that_is_cancelled_before_it_starts_lets_the_next_one_lead() -> None:
    one = machine(*[PLAN] * 5, groups=[0, 1, 1, 1, 1], max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    feed(one, Throttled(0.0, 0, 1.0), Pause(0.0), failed(0.1, 1, status=400))
    assert starts(one, Resume(0.2)) == [], "task 2 is to lead, as soon as starts may follow"
    assert one.next_at == SPACING_S
    feed(one, Cancel(0.3, 2))
    assert starts(one, Tick(SPACING_S)) == [3]
