"""The skipped tasks of an ended session run in that session, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

REFUSED = {"is_error": True, "api_error_status": 401, "result": "Not logged in"}


@pytest.fixture
def ended(stub_cpr: Cpr, stub: Stub) -> cpr.Session:
    """One task succeeded, one was refused, one never started; nobody logged in."""
    stub.fifos("left")
    elements = [
        {"id": "good", "prompt": plan()},
        {"id": "refused", "prompt": plan(result=REFUSED, exit=1, mended={})},
        {"id": "left", "prompt": plan(here="left", gate="left")},
    ]
    session = stub_cpr.launch(prompts(*elements), "-j1", "--login-wait-s", "0.5").wait(LIMIT_S)
    assert outcomes(session) == ["succeeded", "skipped", "skipped"]
    assert [task.reason for task in session] == ["completed", "auth", "auth"]
    stub.mend()
    return session


def outcomes(session: cpr.Session) -> list[str | None]:
    session.refresh()
    return [task.outcome for task in session]


def n_calls(stub: Stub) -> Counter[str]:
    return Counter(path.name.partition(".")[0] for path in (stub.folder / "calls").iterdir())


def finish(session: cpr.Session, stub: Stub) -> None:
    assert stub.await_here("left") == "left"
    stub.release("left")
    session.wait(LIMIT_S)


@pytest.mark.parametrize("lost", [None, "journal.jsonl"])
def test_what_was_skipped_runs_and_nothing_else(
    stub_cpr: Cpr, stub: Stub, ended: cpr.Session, lost: str | None
) -> None:
    processes.await_lock(ended.path / "runner.lock")
    if lost:
        (ended.path / lost).unlink()
    assert " - 2 skipped" in stub_cpr.good("list")
    assert "2 of 3 tasks left" in stub_cpr.good("resume", ended.id, "--skipped")
    finish(ended, stub)
    assert outcomes(ended) == ["succeeded"] * 3
    assert n_calls(stub) == {"good": 1, "refused": 2, "left": 1}
    assert ended.state == "completed"
    counters = [ended.head[name] for name in ("n_succeeded", "n_skipped", "n_pending")]
    assert counters == [3, 0, 0] and "notice" not in ended.head
    if not lost:
        assert (ended.head["cost_usd"], ended.head["n_resumes"]) == (1.0, 1)


def test_a_runner_that_is_killed_meanwhile_is_resumed_as_any(
    stub_cpr: Cpr, stub: Stub, ended: cpr.Session
) -> None:
    stub_cpr.good("resume", ended.id, "--skipped")
    assert stub.await_here("left") == "left"
    os.kill(json.loads((ended.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    processes.await_lock(ended.path / "runner.lock")
    assert ended.refresh().state == "interrupted"
    stub_cpr.good("resume", ended.id)
    stub.release("left")
    ended.wait(LIMIT_S)
    assert outcomes(ended) == ["succeeded"] * 3
    assert n_calls(stub)["left"] == n_calls(stub)["good"] == 1


def test_of_two_resumes_one_wins(stub_cpr: Cpr, stub: Stub, ended: cpr.Session) -> None:
    stub_cpr.good("resume", ended.id, "--skipped")
    again = stub_cpr("resume", ended.id, "--skipped")
    assert again.returncode == 2 and "that needs an ended session" in again.stderr
    finish(ended, stub)
    assert n_calls(stub)["left"] == 1


def test_a_session_without_skipped_tasks_is_not_touched(stub_cpr: Cpr, stub: Stub) -> None:
    session = stub_cpr.launch(prompts(plan(result={"is_error": True, "api_error_status": 400})))
    session.wait(LIMIT_S)
    before = (session.path / "status.json").read_bytes()
    done = stub_cpr("resume", session.id, "--skipped")
    assert done.returncode == 2 and f"cpr retry {session.id[:8]}" in done.stderr
    assert (session.path / "status.json").read_bytes() == before


def test_a_budget_that_is_spent_says_what_to_do(stub_cpr: Cpr, stub: Stub) -> None:
    session = stub_cpr.launch(prompts(plan(), plan(), plan()), "-j1", "--budget-usd", "0.6")
    session.wait(LIMIT_S)
    assert outcomes(session) == ["succeeded", "succeeded", "skipped"]
    assert "has USD 0.10 left, and a task costs about USD 0.25" in session[2].error
    done = stub_cpr("resume", session.id, "--skipped")
    assert done.returncode == 2
    assert "its budget of USD 0.6 is used up (USD 0.5 is spent)" in done.stderr
    assert f"cpr retry {session.id[:8]} --budget-usd" in done.stderr
    assert "--skipped" not in stub_cpr("watch", session.id).stdout
    assert n_calls(stub).total() == 2


def test_all_and_skipped_do_not_go_together(stub_cpr: Cpr) -> None:
    done = stub_cpr("resume", "--all", "--skipped")
    assert done.returncode == 2 and "--skipped" in done.stderr


@pytest.mark.parametrize(
    ("options", "wait_s"),
    [(["--wait"], 600.0), ([], None), (["--wait", "--login-wait-s", "9"], 9.0)],
)
def test_a_program_that_waits_waits_ten_minutes_for_a_login(
    stub_cpr: Cpr, options: list[str], wait_s: float | None
) -> None:
    path = stub_cpr.cwd / "results"
    stub_cpr.good("run", *options, stdin=prompts(plan()))
    (folder,) = path.glob("session-*")
    spec = json.loads((folder / "session.json").read_text())
    assert spec["login_wait_s"] == wait_s
    assert spec["machine_wait_s"] == (600.0 if "--wait" in options else None)
    assert spec["options"].get("login_wait_s") == (9.0 if wait_s == 9.0 else None)
    cpr.Session(folder).wait(LIMIT_S)


def test_a_person_who_waits_has_twelve_hours(stub_cpr: Cpr) -> None:
    (stub_cpr.cwd / "p.json").write_text(prompts(plan()))
    with stub_cpr.on_terminal("run", "p.json", "--wait") as terminal:
        assert terminal.finish() == 0
    (folder,) = (stub_cpr.cwd / "results").glob("session-*")
    assert json.loads((folder / "session.json").read_text())["login_wait_s"] is None
