"""A usage limit or a lost login: everything waits, and no attempt is burnt."""

from __future__ import annotations

from typing import Any

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
from cpr_nb.runner.governor import LAST_PROBE_S
from cpr_nb.runner.instructions import Start
from cpr_nb.runner.messages import (
    Cancel,
    Ended,
    Limited,
    Lingering,
    OutputPolled,
    Probe,
    Responded,
    Resume,
    Started,
    Tick,
)
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import TaskPlan

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
