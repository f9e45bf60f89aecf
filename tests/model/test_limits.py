"""Limits of an account: every text and event that reports one, and when it ends."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cpr_nb.model.credentials import fixed_variable, without_wait
from cpr_nb.model.limits import ACCESS, LOGIN, USAGE, Limit, limit_of_event, limit_of_result

relaxed = settings(max_examples=300)

#: When the texts below were written: 2026-03-01, noon in UTC.
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def failed(text: str = "", status: object = None, **fields: object) -> dict[str, Any]:
    return {"is_error": True, "result": text, "api_error_status": status, **fields}


def found(result: dict[str, Any], *, retried: bool = False) -> tuple[str, float | None] | None:
    limit = limit_of_result(result, retried=retried, written_at_s=NOON)
    return None if limit is None else (limit.kind, limit.until_s)


def at(year: int, month: int, day: int, hour: int, minute: int, zone: str = "UTC") -> float:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp()


# -- a result ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Not logged in · Please run /login",
        "Please run /login · API Error: 401",
        "Invalid API key · Please run /login",
        "Invalid API key · Fix external API key",
        "OAuth token has expired. Please obtain a new token or refresh your existing token.",
        "OAuth token revoked · Please run /login",
        "Failed to authenticate: OAuth token revoked. Please log in again or ask.",
        "Your account does not have access to Claude. Please login again or contact your admin.",
    ],
)
def test_a_text_that_asks_for_a_login_is_a_lost_login(text: str) -> None:
    assert found(failed(text)) == (LOGIN, None)
    assert found(failed(text, 401)) == found(failed(text, 403)) == (LOGIN, None)
    assert found(failed(text, 400)) is None, "the status says what it was"
    assert found(failed(f"I said: {text}")) is None


@pytest.mark.parametrize("before", ["", "Failed to authenticate. ", "Please run /login · "])
def test_a_403_that_asks_for_no_login_is_none(before: str) -> None:
    for rest in ("this model is not for you", "<html>403</html> · Please run /login"):
        text = f"{before}API Error: 403 {rest}"
        assert found(failed(text, 403)) is found(failed(text)) is None
        assert found(failed(text.replace("403 ", "401 "))) == (LOGIN, None), "of an old CLI"


@pytest.mark.parametrize(
    "text",
    [
        "Your organization has disabled Claude subscription access for Claude Code · Use a key",
        "Claude Code can't use your Claude subscription, usually because a payment is past due",
        "Your organization does not have access to Claude. Please login again or contact them.",
        "Your account does not have access to Claude Code. Please run /login.",
    ],
)
def test_an_account_without_access_is_no_lost_login(text: str) -> None:
    assert found(failed(text, 403)) == found(failed(text)) == (ACCESS, None)
    assert found(failed(text, 400)) is None


INIT = {"type": "system", "subtype": "init"}


@pytest.mark.parametrize(
    ("source", "variables", "fixed"),
    [
        ("ANTHROPIC_API_KEY", ["ANTHROPIC_API_KEY"], "ANTHROPIC_API_KEY"),
        ("ANTHROPIC_API_KEY", [], ""),  # a settings file has it
        ("apiKeyHelper", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"], ""),
        ("none", ["CLAUDE_CODE_OAUTH_TOKEN"], "CLAUDE_CODE_OAUTH_TOKEN"),
        ("none", ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"], "ANTHROPIC_AUTH_TOKEN"),
        ("none", [], ""),
        ("/login managed key", ["CLAUDE_CODE_OAUTH_TOKEN"], ""),
    ],
)
def test_nobody_waits_for_a_credential_of_the_environment(
    source: str, variables: list[str], fixed: str
) -> None:
    variable = fixed_variable({**INIT, "apiKeySource": source}, variables)
    assert variable == fixed
    limit = without_wait(Limit(LOGIN), variable, own=())
    assert limit is not None and limit.kind == (ACCESS if fixed else LOGIN)
    assert fixed in limit.error and limit.is_shared
    usage = Limit(USAGE, 9.0)
    assert without_wait(usage, variable, own=()) is usage


def test_a_credential_that_one_task_alone_has_concerns_no_other() -> None:
    limit = without_wait(Limit(LOGIN), "ANTHROPIC_API_KEY", own=["ANTHROPIC_API_KEY"])
    assert limit is not None and not limit.is_shared


def test_a_401_is_a_lost_login_whatever_it_says() -> None:
    assert found(failed("", 401)) == (LOGIN, None)
    assert found(failed("usage limit reached", 401)) == (LOGIN, None)


@pytest.mark.parametrize(
    ("text", "until_s"),
    [
        ("You've hit your session limit · resets 10:30pm (Europe/Berlin)",
         at(2026, 3, 1, 22, 30, "Europe/Berlin")),
        ("You’ve hit your limit · resets 1:30am (Asia/Dhaka)", at(2026, 3, 2, 1, 30, "Asia/Dhaka")),
        ("You've hit your Opus limit · resets 6am (America/New_York)\n/upgrade to go on",
         at(2026, 3, 2, 6, 0, "America/New_York")),
        ("You've reached your weekly limit ∙ resets 5pm (UTC)", at(2026, 3, 1, 17, 0)),
        ("You've hit your org's monthly usage limit · resets 12am (UTC)", at(2026, 3, 2, 0, 0)),
        ("Weekly limit reached · resets 10am (Asia/Seoul) · /upgrade to Max",
         at(2026, 3, 2, 10, 0, "Asia/Seoul")),
        ("5-hour limit reached ∙ resets 7pm (UTC) ∙ /upgrade", at(2026, 3, 1, 19, 0)),
        ("5-hour limit reached • resets at 13:05 (UTC) | more", at(2026, 3, 1, 13, 5)),
        ("Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5).",
         at(2026, 3, 1, 18, 0)),
        ("Claude usage limit reached. Your limit will reset at 12pm (UTC).", at(2026, 3, 2, 12, 0)),
        ("You're out of extra usage · resets 12:01pm (UTC)", at(2026, 3, 1, 12, 1)),
        ("CLAUDE AI USAGE LIMIT REACHED|1772370000", 1772370000.0),
        ("Claude AI usage limit reached|1772370000000", 1772370000.0),
        ("Claude AI usage limit reached|1749924000", 1749924000.0),
        # Limits that do not say when they end, or not in a way that we read.
        ("You've hit your limit", None),
        ("You've hit your monthly spend limit", None),
        ("You've hit your org's monthly usage limit", None),
        ("You're out of extra usage", None),
        ("Claude AI usage limit reached", None),
        ("Claude AI usage limit reached|9999999999999", None),
        ("You've hit your weekly limit · resets Oct 9, 5pm (Europe/Berlin)", None),
        ("You've hit your limit · resets 25:00 (UTC)", None),
        ("You've hit your limit · resets 7:99pm (UTC)", None),
        ("You've hit your limit · resets 7pm (Mars/Olympus)", None),
        ("You've hit your limit · resets 7pm (Europe)", None),
        ("You've hit your limit · resets soon", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [None, 429])
@pytest.mark.parametrize("retried", [True, False])
def test_a_text_that_reports_a_usage_limit_is_one_until_it_resets(
    text: str, until_s: float | None, status: int | None, retried: bool
) -> None:
    assert found(failed(text, status), retried=retried) == (USAGE, until_s)


@pytest.mark.parametrize(
    "text",
    [
        "API Error: Request rejected (429)",
        "Overloaded",
        "The limit of the sequence is 7; it resets never",
        "I reached the end of your list",
        "",
    ],
)
def test_another_text_is_no_usage_limit(text: str) -> None:
    assert found(failed(text)) is None
    assert found(failed(text, 429), retried=True) is None
    assert found(failed(text, 429)) == (USAGE, None), "a 429 that the CLI does not retry is one"


def test_what_the_api_says_is_not_the_usage_limit_is_none() -> None:
    words = "API Error: Server is temporarily limiting requests (not your usage limit)"
    assert found(failed(words, 429)) is None
    assert found(failed(words, 429), retried=True) is None


def test_the_clis_own_word_for_it_is_enough() -> None:
    result = failed("", 429, api_error="usage_limit_reached")
    assert found(result, retried=True) == (USAGE, None)


def test_a_text_of_a_limit_with_another_status_is_none() -> None:
    assert found(failed("usage limit reached", 400)) is None
    assert found(failed("usage limit reached", 529)) is None


@pytest.mark.parametrize("is_error", [False, None, 1, "true"])
def test_a_run_that_did_not_fail_met_no_limit(is_error: object) -> None:
    assert found({**failed("usage limit reached", 429), "is_error": is_error}) is None
    assert found({}) is None


def test_a_time_of_day_without_a_zone_is_that_of_this_machine() -> None:
    limit = limit_of_result(failed("You've hit your limit · resets 7:05pm"), retried=False)
    assert limit is not None and limit.until_s is not None
    local = datetime.fromtimestamp(limit.until_s).astimezone()
    assert (local.hour, local.minute, local.second) == (19, 5, 0)
    assert time.time() < limit.until_s + 1 and limit.until_s <= time.time() + 86_401


HOURS = st.integers(0, 23)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"])


@relaxed
@given(HOURS, st.integers(0, 59), ZONES, st.booleans(), st.integers(0, 366 * 86_400))
def test_a_time_of_day_is_the_next_one_after_it_was_written(
    hour: int, minute: int, zone: str, twelve: bool, later_s: int
) -> None:
    written_at_s = NOON + later_s
    clock = f"{hour}:{minute:02}"
    if twelve:
        clock = f"{(hour + 11) % 12 + 1}:{minute:02}{'am' if hour < 12 else 'pm'}"
    text = f"You've hit your limit · resets {clock} ({zone})"
    limit = limit_of_result(failed(text), retried=False, written_at_s=written_at_s)
    assert limit is not None and limit.until_s is not None
    there = datetime.fromtimestamp(limit.until_s, ZoneInfo(zone))
    skipped = there.hour != hour  # by the clock's own jump in spring
    assert (there.minute, there.second) == (minute, 0)
    assert skipped or there.hour == hour
    assert abs(there.hour - hour) <= 1
    hour_s = 3600  # a day has 25 of them in autumn
    assert written_at_s - hour_s < limit.until_s <= written_at_s + 86_400 + hour_s


# -- events -----------------------------------------------------------------------------------


def rejected(**fields: object) -> dict[str, Any]:
    return {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", **fields}}


def until(value: object) -> float | None:
    limit = limit_of_event(rejected(resetsAt=value))
    assert limit is not None and limit.kind == USAGE
    return limit.until_s


def test_a_rejection_is_a_usage_limit_until_its_reset() -> None:
    soon_s = int(time.time()) + 3600
    iso = datetime.fromtimestamp(soon_s, UTC).isoformat()
    assert until(soon_s) == until(soon_s * 1000) == until(float(soon_s)) == until(iso) == soon_s
    assert until(iso.replace("+00:00", "Z")) == soon_s
    assert until(1) == 1.0, "long over: it may be tried at once"


@pytest.mark.parametrize(
    "value",
    [-5, True, "soon", "", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", 4e9, 1e15, 1e300,
     10**30, "\ud800", [], {}, ["now"], float("inf")],
    ids=ascii,
)  # fmt: skip
def test_a_reset_that_can_be_none_is_not_known(value: object) -> None:
    limit = limit_of_event(rejected(resetsAt=value))
    assert limit is None or (limit.kind, limit.until_s) == (USAGE, None)


def test_a_reset_more_than_a_fortnight_away_is_a_figure_that_we_read_wrong() -> None:
    day_s = 86_400
    assert until(time.time() + 13 * day_s) is not None
    assert until(time.time() + 15 * day_s) is None
    assert until((time.time() + 15 * day_s) * 1000) is None


@pytest.mark.parametrize(
    "event",
    [
        rejected(),
        rejected(resetsAt=None),
        rejected(resetsAt=1772370000, isUsingOverage=True),
        {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": 9}},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed_warning"}},
        {"type": "rate_limit_event", "rate_limit_info": [1]},
        {"type": "rate_limit_event"},
        {"type": "assistant", "rate_limit_info": {"status": "rejected", "resetsAt": 9}},
        {"type": "system", "subtype": "api_retry", "error_status": 429},
        {"type": "system", "subtype": "api_retry", "error_status": None},
        {"type": "system", "subtype": "init", "error_status": 401},
        {},
    ],
    ids=json.dumps,
)
def test_another_event_reports_no_limit(event: dict[str, Any]) -> None:
    assert limit_of_event(event) is None


def test_what_was_not_refused_by_a_plan_alone_has_no_overage() -> None:
    soon_s = time.time() + 60
    event = rejected(resetsAt=soon_s, isUsingOverage=False, overageStatus="rejected")
    limit = limit_of_event(event)
    assert limit is not None and limit.until_s == soon_s


def test_an_event_without_the_inner_object_is_read_too() -> None:
    limit = limit_of_event({"type": "rate_limit_event", "status": "rejected", "resetsAt": 5})
    assert limit is not None and limit.until_s == 5.0


def test_a_request_that_is_retried_for_a_401_reports_a_lost_login() -> None:
    limit = limit_of_event({"type": "system", "subtype": "api_retry", "error_status": 401})
    assert limit is not None and (limit.kind, limit.until_s) == (LOGIN, None)


def test_a_limit_shows_what_it_is() -> None:
    assert repr(Limit(USAGE, 5.0)) == "Limit('limit', 5.0)"


# -- any value at all -------------------------------------------------------------------------

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["usage limit reached|", "hit your limit · resets ", "7pm", "(Europe/Berlin)", "\ud800", "٣pm",
     "2026-03-01T00:00:00", "limit reached resets 7pm (../../etc/passwd)",
     "limit reached resets 7pm (+)", "usage limit reached|٣٣٣٣٣٣٣٣٣٣"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
KINDS = st.sampled_from(["rate_limit_event", "system", "assistant"])
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": KINDS | VALUES,
        "subtype": st.just("api_retry") | VALUES,
        "error_status": st.sampled_from([401, 429]) | VALUES,
        "rate_limit_info": VALUES
        | st.fixed_dictionaries(
            {"status": st.just("rejected") | VALUES, "resetsAt": VALUES},
            optional={"isUsingOverage": VALUES},
        ),
        "status": VALUES,
        "resetsAt": VALUES,
    },
)
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "is_error": st.just(True) | VALUES,
        "result": st.lists(TEXTS, max_size=4).map("".join) | VALUES,
        "api_error_status": st.sampled_from([401, 429, None]) | VALUES,
        "api_error": VALUES,
    },
)


def assert_honest(limit: Limit | None) -> None:
    if limit is not None:
        assert limit.kind in (USAGE, LOGIN)
        if limit.until_s is not None:
            assert isinstance(limit.until_s, float)
            assert 0 <= limit.until_s < time.time() + 15 * 86_400


@relaxed
@given(EVENTS)
def test_no_event_is_read_with_an_error(event: dict[str, Any]) -> None:
    assert_honest(limit_of_event(event))


@relaxed
@given(RESULTS, st.booleans(), st.none() | st.floats(0, 4e9))
@example({"is_error": True, "result": "limit reached resets 7pm (../../etc/passwd)"}, True, None)
def test_no_result_is_read_with_an_error(
    result: dict[str, Any], retried: bool, written_at_s: float | None
) -> None:
    limit = limit_of_result(result, retried=retried, written_at_s=written_at_s)
    if written_at_s is None:
        assert_honest(limit)
