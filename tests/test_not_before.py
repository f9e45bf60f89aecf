"""A session that is launched now and starts later."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from testkit.command import Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]


def later(**much: float) -> str:
    return (datetime.now(UTC) + timedelta(**much)).isoformat(timespec="milliseconds")


def await_waiting(session: cpr.Session) -> None:
    session.wait_until(lambda: session.refresh().state == "waiting", LIMIT_S, "the wait")


def test_it_waits_says_so_and_starts_at_once_when_resumed(
    in_env: EnterEnv, stub_env: dict[str, str], stub: Stub
) -> None:
    in_env(stub_env)
    session = cpr.launch([plan(), plan()], not_before=later(days=1))
    await_waiting(session)
    row = cpr.sessions_df(full=True).iloc[0]
    assert (row["waiting_for"], row["n_pending"]) == ("time", 2)
    assert stub.calls() == {}
    session.resume()
    assert session.wait(LIMIT_S).state == "completed" and len(stub.calls()) == 2
    again = session.retry(all_tasks=True)
    assert again.wait(LIMIT_S).state == "completed", "a retry does not wait again"


def test_it_starts_when_the_time_has_come(
    in_env: EnterEnv, stub_env: dict[str, str], stub: Stub
) -> None:
    in_env(stub_env)
    at = later(seconds=2)
    session = cpr.launch([plan()], not_before=at).wait(LIMIT_S)
    started = datetime.fromisoformat(session[0].fields["started_at"])
    assert started >= datetime.fromisoformat(at)


def test_a_runner_that_dies_while_it_waits_is_followed_by_one_that_waits(
    stub_cpr: Cpr, stub: Stub
) -> None:
    session = stub_cpr.launch(prompts(plan()), "--not-before", later(days=1))
    await_waiting(session)
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "its end")
    stub_cpr.good("resume", session.id)
    await_waiting(session)
    assert stub.calls() == {}
    shown = stub_cpr.good("status", session.id)
    assert "nothing starts yet (not_before), waits until" in " ".join(shown.split())
    stub_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    assert len(stub.calls()) == 1


def test_a_time_of_day_is_stored_as_the_moment_that_is_meant(
    in_env: EnterEnv, stub_env: dict[str, str]
) -> None:
    in_env(stub_env)
    soon = datetime.now() + timedelta(hours=1)  # noqa: DTZ005 - as a person writes it
    (row,) = cpr.launch([plan()], not_before=f"{soon:%H:%M}", dry_run=True)
    assert row["not_before"][:16] == f"{soon:%Y-%m-%dT%H:%M}"


def test_an_older_cpr_does_not_resume_it(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)
    session = cpr.launch([plan()], not_before=later(seconds=-5)).wait(LIMIT_S)
    assert json.loads((session.path / "session.json").read_text())["schema_version"] == 3


@pytest.mark.parametrize("reserve", [0.3])
def test_an_api_key_has_no_usage_window(
    in_env: EnterEnv, stub_env: dict[str, str], reserve: float
) -> None:
    in_env(stub_env)
    with pytest.warns(UserWarning, match="an API key has no usage window"):
        (row,) = cpr.launch([plan()], reserve=reserve, dry_run=True)
    assert "reserve" not in row
