"""A moment before which nothing starts, and a part of the usage window that is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from testkit.machine import PLAN, done, failed, feed, last_report, machine, refused, starts

from cpr_nb.model.limits import RESERVE, TIME, USAGE, Limit, reserved
from cpr_nb.runner.messages import Probe, Responded, Resume, Started, Tick, WindowUsed
from cpr_nb.runner.schedule import Schedule


def waiting_first(*limits: Limit, n_tasks: int = 4) -> Schedule:
    one = machine(*[PLAN] * n_tasks, max_parallel=2)
    one.wait_first(limits)
    return one


# -- a time --------------------------------------------------------------------------------------


def test_nothing_starts_before_the_time_and_all_that_fits_starts_then() -> None:
    one = waiting_first(Limit(TIME, 500.0))
    assert feed(one, Tick(0.0)) == [("ReportState", "waiting", "time")]
    assert starts(one, Tick(400.0)) == []
    assert starts(one, Probe(500.0)) == [0, 1]


def test_who_resumes_it_does_not_wait_for_the_time() -> None:
    one = waiting_first(Limit(TIME, 500.0))
    assert starts(one, Tick(0.0), Resume(1.0)) == [0, 1]
    assert starts(one, Probe(500.0)) == []


def test_after_the_time_one_task_shows_how_much_is_used() -> None:
    one = waiting_first(Limit(TIME, 500.0), Limit(RESERVE))
    feed(one, Tick(0.0))
    assert starts(one, Probe(500.0), Started(501.0, 0)) == [0]


# -- the usage window ----------------------------------------------------------------------------


def test_one_task_leads_until_it_is_known_that_there_is_room() -> None:
    one = waiting_first(Limit(RESERVE))
    assert feed(one, Tick(0.0))[0] == ("Start", 0)
    assert starts(one, Started(0.0, 0), Responded(1.0, 0), Tick(2.0)) == []
    assert starts(one, WindowUsed(3.0, 0, None)) == [1]


def test_the_lead_is_no_wait() -> None:
    one = waiting_first(Limit(RESERVE))
    report = last_report(one, Tick(0.0))
    assert (report.state, report.reason) == ("running", "")
    assert report.notice.startswith("one task leads")


def test_a_login_without_windows_waits_for_the_first_end_only() -> None:
    one = waiting_first(Limit(RESERVE))
    feed(one, Tick(0.0), Started(0.0, 0), Responded(1.0, 0))
    assert starts(one, done(2.0, 0)) == [1, 2]


@pytest.mark.parametrize("order", ["told first", "answered first"])
def test_once_the_share_is_used_nothing_starts_until_the_window_is_renewed(order: str) -> None:
    one = waiting_first(Limit(RESERVE))
    feed(one, Tick(0.0), Started(0.0, 0))
    events = [WindowUsed(1.0, 0, Limit(RESERVE, 900.0)), Responded(1.0, 0)]
    report = last_report(one, *(events if order == "told first" else reversed(events)))
    assert (report.state, report.reason, report.until_s) == ("waiting", "reserve", 900.0)
    assert starts(one, done(2.0, 0), Tick(3.0), Tick(899.0)) == []
    assert starts(one, Probe(900.0)) == [1]
    assert starts(one, Started(900.0, 1), Responded(901.0, 1), WindowUsed(901.0, 1, None)) == [2]


def test_what_runs_goes_on_and_a_retry_waits_too() -> None:
    one = machine(*[PLAN] * 3, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    out = feed(one, WindowUsed(1.0, 0, Limit(RESERVE, 900.0)))
    assert out == [("ReportState", "waiting", "reserve")]
    assert starts(one, failed(2.0, 0), done(2.0, 1), Tick(300.0)) == []


def test_a_window_that_is_used_again_after_its_renewal_holds_again() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1)
    feed(one, Tick(0.0), Started(0.0, 0), WindowUsed(1.0, 0, Limit(RESERVE, 900.0)), done(2.0, 0))
    assert starts(one, Probe(900.0)) == [1]
    again = WindowUsed(901.0, 1, Limit(RESERVE, 1800.0))
    feed(one, Started(900.0, 1), again, done(902.0, 1))
    assert starts(one, Tick(903.0)) == []
    assert starts(one, Probe(1800.0)) == [2]


def test_the_limit_itself_is_waited_for_as_without_a_reserve() -> None:
    one = waiting_first(Limit(RESERVE), n_tasks=2)
    feed(one, Tick(0.0), Started(0.0, 0), refused(1.0, 0, USAGE, 500.0))
    assert starts(one, Tick(2.0)) == []
    assert starts(one, Probe(500.0), Started(500.0, 1)) == [1]
    assert starts(one, Responded(501.0, 1)) == [0]


# -- what the CLI says ---------------------------------------------------------------------------


def windows(**used: float) -> dict[str, Any]:
    ends = {"five_hour": 1000, "seven_day": 2000}
    each = {
        n: {"utilization": u, "resetsAt": ends[n], "status": "allowed"} for n, u in used.items()
    }
    return {"status": "allowed", "resetsAt": 1000, "unifiedWindows": each}


@pytest.mark.parametrize(
    ("info", "until"),
    [
        (windows(five_hour=0.69, seven_day=0.1), "no limit"),
        (windows(five_hour=0.7), 1000.0),
        (windows(five_hour=0.9, seven_day=0.8), 2000.0),
        (windows(five_hour=0.2, seven_day=0.8), 2000.0),
        ({"utilization": 0.75, "resetsAt": 1000}, 1000.0),
        ({"utilization": 0.75}, None),
        ({"status": "allowed", "resetsAt": 1000}, "no limit"),
        ({"unifiedWindows": [1], "utilization": "much"}, "no limit"),
    ],
    ids=["room", "exactly", "both", "the week", "old form", "no end", "nothing", "nonsense"],
)
def test_the_window_that_is_renewed_last_counts(info: dict[str, Any], until: Any) -> None:
    limit = reserved(info, 0.3)
    assert (limit.until_s if limit else "no limit") == until
