"""The gates of the scripted API, as a plain HTTP client sees them."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from testkit.client import LIMIT_S, ask, raw, script

from cpr_nb.offline.scripted_api import Quota, ScriptedApi

UNIFIED = "anthropic-ratelimit-unified-"
ALMOST_NEVER = 1e-9


class Clock:
    """A time that only the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def statuses(api: ScriptedApi, n: int) -> list[int]:
    return [ask(api, "hello").status for _ in range(n)]


def test_a_quota_lets_a_burst_through_and_then_so_many_a_second() -> None:
    clock = Clock()
    with ScriptedApi(quota=Quota(per_s=2, burst=3), clock=clock) as api:
        assert statuses(api, 5) == [200, 200, 200, 429, 429]
        clock.now += 0.5
        assert statuses(api, 2) == [200, 429]
        clock.now += 0.25
        assert statuses(api, 1) == [429]
        clock.now += 0.25
        assert statuses(api, 2) == [200, 429]
        clock.now += 3600  # It never holds more than a burst.
        assert statuses(api, 4) == [200, 200, 200, 429]
        assert api.n_admitted == 8
        gates = {(record.status, record.gate) for record in api.requests}
        assert gates == {(200, ""), (429, "quota")}


def test_a_refusal_of_the_quota_is_worded_as_the_api_does() -> None:
    with ScriptedApi(quota=Quota(ALMOST_NEVER)) as api:
        assert ask(api, "a").status == 200
        answer = ask(api, "b")
        assert (answer.status, answer.json["type"]) == (429, "error")
        error = answer.json["error"]
        assert error["type"] == "rate_limit_error"
        assert error["message"].startswith("This request would exceed your organization's rate")
        assert "retry-after" not in {name.lower() for name in answer.headers}
        api.set_quota(Quota(ALMOST_NEVER, retry_after_s=7))
        assert ask(api, "c").status == 200  # A new bucket is full.
        assert ask(api, "d").headers["retry-after"] == "7"
        api.set_quota(None)
        assert statuses(api, 3) == [200, 200, 200]


def test_many_at_once_get_exactly_the_burst() -> None:
    barrier = threading.Barrier(48)

    def client(number: int) -> int:
        barrier.wait(LIMIT_S)
        return ask(api, "hello", session=f"s{number}").status

    with ScriptedApi(quota=Quota(ALMOST_NEVER, burst=10)) as api, ThreadPoolExecutor(48) as pool:
        assert sorted(pool.map(client, range(48))) == [200] * 10 + [429] * 38
        # They pass in the order of their records.
        assert [record.status for record in api.requests] == [200] * 10 + [429] * 38
        assert api.n_admitted == 10


def test_a_refused_request_plays_no_step_and_is_no_attempt(api: ScriptedApi) -> None:
    prompt = script({"fail": {"status": 500, "times": 1}, "text": "later"})
    api.lose_login()
    assert [ask(api, prompt).status for _ in range(3)] == [401] * 3
    api.restore_login()
    assert (ask(api, prompt).status, ask(api, prompt).text) == (500, "later")
    tried = [(record.step, record.attempt, record.status) for record in api.requests]
    assert tried == [(-1, 0, 401)] * 3 + [(0, 1, 500), (0, 2, 200)]
    assert api.n_admitted == 2
    assert api.requests[0].last_user_text == prompt


def test_a_lost_login(api: ScriptedApi) -> None:
    api.lose_login()
    answer = ask(api, "hello")
    assert answer.status == 401
    assert answer.json["error"] == {"type": "authentication_error", "message": "invalid x-api-key"}
    api.lose_login("OAuth token has expired.")
    assert ask(api, "hello").json["error"]["message"] == "OAuth token has expired."
    assert {record.gate for record in api.requests} == {"login"}
    api.restore_login()
    assert ask(api, "hello").status == 200


def test_a_usage_limit_names_the_moment_at_which_it_ends() -> None:
    clock = Clock()
    with ScriptedApi(clock=clock) as api:
        before = time.time()
        api.limit_usage(resets_in_s=5)
        latest = math.ceil(time.time() + 5)
        answer = ask(api, "hello")
        assert (answer.status, answer.json["error"]["type"]) == (429, "rate_limit_error")
        limit: dict[str, Any] = {
            name.removeprefix(UNIFIED): value for name, value in answer.headers.items()
        }
        assert (limit["status"], limit["representative-claim"]) == ("rejected", "five_hour")
        assert before + 5 <= int(limit["reset"]) <= latest
        assert limit["5h-reset"] == limit["reset"]
        assert limit["retry-after"] in ("5", "6")
        clock.now += 4.999
        assert ask(api, "hello").status == 429
        clock.now += 2  # Rounded up, the moment is up to a second later.
        assert statuses(api, 2) == [200, 200]
        assert [record.gate for record in api.requests] == ["usage_limit"] * 2 + [""] * 2


def test_a_usage_limit_can_be_lifted_before(api: ScriptedApi) -> None:
    api.limit_usage()
    assert int(ask(api, "hello").headers["retry-after"]) > 3500
    api.lift_limit()
    assert ask(api, "hello").status == 200


def test_the_gates_stand_one_behind_the_other_and_only_the_last_takes_a_token() -> None:
    with ScriptedApi(quota=Quota(ALMOST_NEVER)) as api:
        api.lose_login()
        api.limit_usage()
        assert statuses(api, 2) == [401, 401]
        api.restore_login()
        assert statuses(api, 2) == [429, 429]
        api.lift_limit()
        assert statuses(api, 2) == [200, 429]
        gates = [record.gate for record in api.requests]
        assert gates == ["login"] * 2 + ["usage_limit"] * 2 + ["", "quota"]


def test_only_requests_for_a_message_have_to_pass(api: ScriptedApi) -> None:
    api.lose_login()
    assert raw(api, "POST", "/v1/messages/count_tokens", b"x" * 40).status == 200
    assert raw(api, "GET", "/", b"").status == 200
    assert raw(api, "POST", "/v1/messages", b"no JSON").status == 401
    assert api.n_admitted == 0


def test_a_gate_that_closes_leaves_a_request_alone_that_has_passed(api: ScriptedApi) -> None:
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(ask, api, script({"wait": "go", "text": "well"}))
        api.wait_for(lambda record: record.seq == 1, LIMIT_S)
        api.lose_login()
        api.release("go")
        assert going.result(LIMIT_S).text == "well"


@pytest.mark.parametrize(
    "bad",
    [
        {"per_s": 0},
        {"per_s": math.nan},
        {"per_s": math.inf},
        {"per_s": 1, "burst": 0},
        {"per_s": 1, "retry_after_s": -1},
    ],
    ids=str,
)
def test_a_quota_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a quota needs"):
        Quota(**bad)
