"""A login of one's own, one that does not come, and no access: whom it ends, whom not."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from testkit.machine import (
    PLAN,
    begin,
    done,
    feed,
    last_report,
    machine,
    refused,
    running,
    starts,
    waiting,
)

from cpr_nb.model.limits import ACCESS, LOGIN, USAGE, Limit
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.instructions import Finish
from cpr_nb.runner.messages import (
    Cancel,
    Ended,
    Limited,
    Pause,
    Probe,
    Responded,
    Resume,
    Started,
    Tick,
)
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import TaskPlan

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
