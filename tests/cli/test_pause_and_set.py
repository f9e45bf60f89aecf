"""A session is paused and resumed, and its parallelism changes while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


def held(stub: Stub, *names: str) -> list[dict[str, str]]:
    stub.fifos(*names)
    return [{"id": name, "prompt": plan(here=name, gate=name)} for name in names]


def test_a_paused_session_starts_nothing_until_it_is_resumed(stub_cpr: Cpr, stub: Stub) -> None:
    session = stub_cpr.launch(prompts(*held(stub, "a"), {"id": "b", "prompt": "b"}), "-j1")
    stub.await_here("a")
    assert "paused; running tasks continue" in stub_cpr.good("pause", session.id)
    session.wait_until(lambda: session.snapshot.state == "paused", LIMIT_S, "the pause")
    assert "paused: no more tasks are started; cpr resume" in stub_cpr.good("status", session.id)
    stub.release("a")
    session.wait_until(lambda: session[0].ok, LIMIT_S, "the first task")
    assert (session.state, session[1].state) == ("paused", "pending")
    assert "continues, 1 of 2 tasks left" in stub_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    assert session.state == "completed" and session[1].ok


def test_more_tasks_run_at_once_after_set(stub_cpr: Cpr, stub: Stub) -> None:
    session = stub_cpr.launch(prompts(*held(stub, "a", "b", "c")), "-j1")
    stub.await_here("a")
    stub_cpr.good("set", session.id, "max-parallel=3")
    stub.await_here("b")
    stub.await_here("c")
    session.wait_until(lambda: session.snapshot.count("n_running") == 3, LIMIT_S, "three")
    assert session.max_parallel == 3
    for name in "abc":
        stub.release(name)
    session.wait(LIMIT_S)
    requests = [
        json.loads(line)
        for line in (session.path / "journal.jsonl").read_text().splitlines()
        if '"request"' in line
    ]
    assert [(line["name"], line["value"]) for line in requests] == [("max-parallel", 3)]


@pytest.mark.parametrize("setting", ["max-parallel=-1", "max-parallel=x", "model=opus", "3", "="])
def test_a_setting_that_can_not_be_is_one_line(stub_cpr: Cpr, setting: str) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    done = stub_cpr("set", session.id, setting)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_session_that_has_ended_is_neither_paused_nor_set(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    for args in (("pause", session.id), ("set", session.id, "max-parallel=2")):
        done = stub_cpr(*args)
        assert done.returncode == 2 and "it is completed" in done.stderr


def test_the_library_changes_it_as_an_attribute(
    stub_cpr: Cpr, stub: Stub, in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_cpr.env)
    session = cpr.launch(held(stub, "a", "b"), max_parallel=1)
    stub.await_here("a")
    with pytest.raises(cpr.InputError, match="max_parallel"):
        session.max_parallel = -1
    session.max_parallel = 2
    stub.await_here("b")
    session.pause()
    session.wait_until(lambda: session.snapshot.state == "paused", LIMIT_S, "the pause")
    session.resume()
    stub.release("a")
    stub.release("b")
    assert session.wait(LIMIT_S).state == "completed"
