"""A usage limit or a lost login: everything waits, one task probes, none is burnt."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from testkit.machine import (
    begin,
    done,
    failed,
    feed,
    last_report,
    machine,
    refused,
    running,
    starts,
)

from cpr_nb.model.limits import ACCESS, LOGIN, USAGE, Limit
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.governor import FIRST_PROBE_S, LAST_PROBE_S
from cpr_nb.runner.messages import (
    Cancel,
    DiskFree,
    Ended,
    Finish,
    Limited,
    Lingering,
    OutputPolled,
    Pause,
    Postponed,
    Probe,
    Responded,
    Resume,
    Start,
    Started,
    Tick,
)
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import TaskPlan

PLAN = TaskPlan()


def waiting(n_tasks: int = 4, kind: str = USAGE, until_s: float | None = None) -> Schedule:
    """Two at once; the first task was refused at second 1, the second still runs."""
    one = machine(*[PLAN] * n_tasks, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert starts(one, refused(1.0, 0, kind, until_s)) == []
    return one


# -- waiting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [USAGE, LOGIN])
def test_a_task_that_is_refused_rests_and_nothing_starts(kind: str) -> None:
    one = machine(PLAN, PLAN, PLAN, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert feed(one, refused(1.0, 0, kind)) == [
        ("Rest", 0, "auth" if kind == LOGIN else "rate_limit", 0.0, False),
        ("ReportState", "waiting", kind),
    ]
    assert feed(one, Tick(2.0)) == []


def test_an_answer_to_any_task_says_that_the_login_is_good() -> None:
    one = waiting(kind=LOGIN)
    assert feed(one, Responded(2.0, 1)) == [("Start", 0), ("ReportState", "running", "")]


def test_the_notice_says_what_it_waits_for_and_until_when() -> None:
    one = running(PLAN, PLAN)
    tell = last_report(one, refused(1.0, 0, USAGE, 5000.0))
    assert tell is not None
    assert (tell.state, tell.reason, tell.until_s) == ("waiting", USAGE, 5000.0)
    assert "usage limit" in tell.notice
    tell = last_report(one, refused(1.0, 1, LOGIN))
    assert tell is None, "the first limit stands"


def test_the_notice_says_what_to_do_after_a_lost_login() -> None:
    tell = last_report(running(PLAN), refused(1.0, 0, LOGIN))
    assert tell is not None
    assert "log in" in tell.notice


def test_a_limit_that_is_heard_of_while_a_task_runs_holds_the_others_back() -> None:
    one = machine(PLAN, PLAN, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Limited(1.0, 0, Limit(USAGE, 99.0))) == [("ReportState", "waiting", "limit")]
    assert starts(one, done(2.0, 0)) == [], "its answer may have been paid for before"
    assert starts(one, Probe(3.0)) == [1]


def test_what_is_heard_of_a_task_that_is_stopped_is_no_limit() -> None:
    one = running(PLAN, PLAN)
    feed(one, Cancel(1.0, 0))
    assert feed(one, Limited(2.0, 0, Limit(USAGE))) == []


def test_a_second_refusal_says_until_when() -> None:
    one = waiting()
    tell = last_report(one, refused(2.0, 1, USAGE, 5000.0))
    assert tell is not None and tell.until_s == 5000.0
    assert one.next_at is None, "the runner's clock tells when"
    tell = last_report(one, Limited(3.0, 1, Limit(USAGE, 7000.0)))
    assert tell is None, "the first that says so stands"


def test_a_refused_attempt_does_not_count() -> None:
    one = machine(TaskPlan(attempts=1))
    at = 0.0
    feed(one, Tick(at))
    for attempt in range(2, 6):
        feed(one, Started(at, 0), refused(at + 1.0, 0, USAGE))
        at += LAST_PROBE_S + 1.0
        (start,) = [i for i in one.handle(Tick(at)) if isinstance(i, Start)]
        assert (start.attempt, start.conversation_id) == (attempt, "c-1")
        assert start.resume
    feed(one, Started(at, 0))
    assert feed(one, failed(at + 1.0, 0))[0] == ("Finish", 0, "failed", "overloaded")


def test_a_good_answer_before_the_limit_is_an_answer() -> None:
    one = running(PLAN)
    good = Ended(1.0, 0, Exit(0, result={"is_error": False}), limit=Limit(USAGE))
    assert feed(one, good)[0] == ("Finish", 0, "succeeded", "completed")


def refused_twice(one: Schedule, end: Ended) -> list[tuple[Any, ...]]:
    """Task 0 is refused a login, task 1 ends with an old answer, someone has task 0 try again."""
    feed(one, refused(10.0, 0, LOGIN))
    assert starts(one, end) == [], "nobody has logged in"
    assert starts(one, Resume(30.0)) == [0]
    return feed(one, Started(30.0, 0), refused(31.0, 0, LOGIN))


def test_the_end_of_a_task_that_only_lingered_says_nothing_of_the_login() -> None:
    one = running(PLAN, PLAN, PLAN, max_parallel=3)
    feed(one, Responded(1.0, 1), Lingering(2.0, 1, 2.0))
    assert refused_twice(one, done(20.0, 1))[0] == ("Rest", 0, "auth", 0.0, False)


def test_the_end_of_a_task_that_was_refused_after_its_answer_says_nothing_of_the_login() -> None:
    one = running(PLAN, PLAN, PLAN, max_parallel=3)
    feed(one, Responded(1.0, 1))
    end = Ended(20.0, 1, Exit(0, result={"is_error": False}), limit=Limit(LOGIN))
    assert refused_twice(one, end)[0] == ("Rest", 0, "auth", 0.0, False)


def test_a_probe_that_is_refused_after_its_answer_makes_way_for_another() -> None:
    one = waiting(until_s=50.0)
    feed(one, done(2.0, 1), Probe(50.0), Started(50.0, 2))
    good = Ended(54.0, 2, Exit(0, result={"is_error": False}), limit=Limit(USAGE))
    assert starts(one, good) == []
    assert starts(one, Tick(55.0)) == [3]


@pytest.mark.parametrize("kind", [USAGE, LOGIN])
def test_what_was_denied_before_a_limit_is_not_forgotten(kind: str) -> None:
    one = running(TaskPlan(fail_on_denied=True))
    denials = [{"tool_name": "Bash", "tool_use_id": "t1", "tool_input": {"command": "make"}}]
    result = {"is_error": False, "num_turns": 2, "permission_denials": denials}
    end = Ended(5.0, 0, Exit(1, result=result, trouble={"is_error": True}), limit=Limit(kind))
    assert feed(one, end)[0] == ("Finish", 0, "failed", "denied")


def test_a_cancelled_task_that_was_refused_is_cancelled() -> None:
    one = running(PLAN, PLAN)
    feed(one, Cancel(1.0, 0))
    assert feed(one, refused(2.0, 0, USAGE)) == [("Finish", 0, "cancelled", "cancelled")]


@pytest.mark.parametrize(
    "plan", [TaskPlan(timeout_s=60), TaskPlan(silence_s=60), TaskPlan(first_byte_s=60)]
)
def test_a_task_that_was_too_slow_because_it_was_refused_comes_back(plan: TaskPlan) -> None:
    one = running(plan)
    feed(one, Limited(1.0, 0, Limit(LOGIN)), Tick(60.0))
    if plan.timeout_s is None:
        feed(one, OutputPolled(60.0, 0, None))
    out = feed(one, Ended(61.0, 0, Exit(143), limit=Limit(LOGIN)))
    assert out[0][0] == "Rest" and out[0][-1] is False, "it does not count"


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


# -- a login of one's own ---------------------------------------------------------------------


def play(one: Schedule, bad: set[int], until: float) -> list[tuple[Any, ...]]:
    """Runs everything; these tasks are refused each time, the others are answered."""
    out: list[tuple[Any, ...]] = []
    at, running = 0.0, deque(starts(one, Tick(0.0)))
    while at < until:
        if running:  # the one that began first ends, a second later
            at, task = at + 1.0, running.popleft()
            begin(one, at - 1.0, task)
            new = feed(one, refused(at, task, LOGIN) if task in bad else done(at, task))
        elif one.next_at is not None:
            at = one.next_at
            new = feed(one, Tick(at))
        else:
            break
        running += [text[1] for text in new if text[0] == "Start"]
        out += [(at, *text) for text in new]
    return out


@pytest.mark.parametrize("max_parallel", [1, 2, 0])
@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_task_that_alone_is_refused_ends_and_holds_up_nobody(max_parallel: int, bad: int) -> None:
    one = machine(*[PLAN] * 6, max_parallel=max_parallel)
    out = play(one, {bad}, until=500.0)
    ends = {text[2]: text[3:] for text in out if text[1] == "Finish"}
    assert ends.pop(bad) == ("failed", "auth")
    assert set(ends) == set(range(6)) - {bad}
    assert set(ends.values()) == {("succeeded", "completed")}


def test_tasks_that_are_all_refused_are_all_asked_again_and_again() -> None:
    out = play(machine(*[PLAN] * 4, max_parallel=2), {0, 1, 2, 3}, until=20_000.0)
    assert not [text for text in out if text[1] == "Finish"]
    rests = [(text[0], text[2]) for text in out if text[1] == "Rest"]
    assert {task for _, task in rests} == {0, 1, 2, 3}, "each of them probes in its turn"
    assert all(later[0] - one[0] >= 60.0 for one, later in pairwise(rests[2:]))


def test_a_task_that_was_answered_itself_since_is_not_burnt() -> None:
    one = running(PLAN, PLAN, max_parallel=2)
    feed(one, refused(1.0, 0, LOGIN))
    assert starts(one, done(2.0, 1)) == [0]
    feed(one, Started(2.0, 0), Responded(10.0, 0))
    assert feed(one, refused(99.0, 0, LOGIN))[0] == ("Rest", 0, "auth", 0.0, False)


def test_a_usage_limit_never_ends_a_task() -> None:
    one = running(PLAN, PLAN, PLAN, max_parallel=3)
    feed(one, refused(1.0, 0, USAGE), Responded(2.0, 1))
    assert starts(one, Resume(3.0)) == [0]
    assert feed(one, Started(3.0, 0), refused(4.0, 0, USAGE))[0][0] == "Rest"


def test_a_probe_that_ends_for_its_own_login_makes_way_for_another() -> None:
    one = machine(*[PLAN] * 3, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    feed(one, refused(1.0, 0, LOGIN), Responded(2.0, 1), Started(2.0, 0))
    feed(one, Limited(3.0, 1, Limit(USAGE, 50.0)), Ended(4.0, 0, Exit(), interrupted=True))
    feed(one, Cancel(5.0, 2))
    assert starts(one, Probe(50.0)) == [0], "nobody else waits"
    feed(one, Started(50.0, 0))
    assert feed(one, refused(51.0, 0, LOGIN))[0] == ("Finish", 0, "failed", "auth")
    assert one.next_at == 52.0, "when another one may probe"
    feed(one, refused(51.5, 1, USAGE))
    assert starts(one, Tick(52.0)) == [1]


def test_a_cancelled_probe_that_is_too_slow_and_refused_makes_way_for_another() -> None:
    one = machine(*[TaskPlan(timeout_s=10)] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), refused(1.0, 0, USAGE, 50.0), Probe(50.0))
    feed(one, Started(50.0, 1), Tick(60.0), Cancel(60.5, 1))
    assert feed(one, refused(61.0, 1, USAGE, 50.0))[0] == ("Finish", 1, "timed_out", "timeout")
    assert starts(one, Tick(62.0)) == [2]


# -- waiting only for what can come -------------------------------------------------------------

NO_ACCESS = Limit(ACCESS, error="set another key")


def no_access(at: float, task: int, *, is_shared: bool = True) -> Ended:
    result = {"is_error": True, "api_error_status": 401, "result": "Invalid API key"}
    limit = Limit(ACCESS, error="set another key", is_shared=is_shared)
    return Ended(at, task, Exit(1, result=result), limit=limit)


def test_a_login_that_does_not_come_in_time_skips_what_is_left_and_ends() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1, login_wait_s=100.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    tell = last_report(one, refused(5.0, 0, LOGIN))
    assert tell is not None and (tell.gives_up_at, tell.until_s) == (105.0, None)
    assert starts(one, Tick(65.0)) == [1], "it tries after a minute"
    feed(one, Started(65.0, 1), refused(70.0, 1, LOGIN))
    assert one.next_at == 105.0, "a probe that is refused gives no more time"
    assert feed(one, Tick(105.0)) == [
        *[("Finish", task, "skipped", "auth") for task in range(3)],
        ("End", "completed"),
    ]


def test_a_usage_limit_is_waited_for_as_long_as_it_takes() -> None:
    one = waiting(kind=USAGE)
    assert starts(one, Tick(1e6)) == [2]


def test_a_login_in_time_and_a_second_loss_begin_a_new_wait() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1, login_wait_s=100.0)
    feed(one, Tick(0.0), Started(0.0, 0), refused(5.0, 0, LOGIN), Tick(65.0), Started(65.0, 1))
    assert starts(one, Responded(70.0, 1), done(90.0, 1)) == [0]
    tell = last_report(one, Started(90.0, 0), Responded(91.0, 0), refused(95.0, 0, LOGIN))
    assert tell is not None and tell.gives_up_at == 195.0


def test_a_pause_stops_that_clock_and_resuming_starts_it_anew() -> None:
    one = machine(*[PLAN] * 2, max_parallel=1, login_wait_s=100.0)
    feed(one, Tick(0.0), Started(0.0, 0), refused(5.0, 0, LOGIN))
    assert feed(one, Pause(6.0), Tick(5000.0)) == [("ReportState", "paused", "login")]
    assert starts(one, Resume(6000.0)) == [1], "it tries at once"
    feed(one, Started(6000.0, 1), refused(6001.0, 1, LOGIN))
    assert one.next_at is not None and 6001.0 < one.next_at <= 6100.0
    assert feed(one, Tick(6100.0))[-1] == ("End", "completed")


def test_an_agent_that_runs_when_the_wait_is_over_may_still_succeed() -> None:
    one = machine(*[PLAN] * 3, max_parallel=2, login_wait_s=50.0)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1), refused(5.0, 0, LOGIN))
    assert feed(one, Tick(55.0))[:2] == [
        ("Finish", 0, "skipped", "auth"),
        ("Finish", 2, "skipped", "auth"),
    ]
    assert feed(one, done(60.0, 1)) == [
        ("Finish", 1, "succeeded", "completed"),
        ("End", "completed"),
    ]


def test_without_access_the_task_fails_and_the_others_are_skipped() -> None:
    one = machine(*[PLAN] * 4, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    (finish, *_) = out = one.handle(no_access(5.0, 0))
    assert isinstance(finish, Finish)
    assert finish.outcome.error == "Invalid API key; set another key"
    skipped = [i.outcome.error for i in out if isinstance(i, Finish)][1:]
    assert skipped == ["set another key"] * 2
    assert feed(one, no_access(6.0, 1)) == [("Finish", 1, "failed", "auth"), ("End", "completed")]


def test_a_credential_that_is_refused_again_and_again_ends_the_attempt() -> None:
    one = machine(*[PLAN] * 2, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, Limited(5.0, 0, NO_ACCESS)) == [("Terminate", 0, "refused")]
    assert feed(one, Limited(6.0, 0, NO_ACCESS)) == []
    assert feed(one, Ended(7.0, 0, Exit(143), limit=NO_ACCESS)) == [
        ("Finish", 0, "failed", "auth"),
        ("Finish", 1, "skipped", "auth"),
        ("End", "completed"),
    ]


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_task_that_alone_has_no_access_stops_nobody(is_shared: bool) -> None:
    one = machine(*[PLAN] * 3, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    if is_shared:  # the same credential has had an answer since this task began
        feed(one, Responded(4.0, 1))
    assert feed(one, no_access(5.0, 0, is_shared=is_shared)) == [
        ("Finish", 0, "failed", "auth"),
        ("Start", 2),
    ]
