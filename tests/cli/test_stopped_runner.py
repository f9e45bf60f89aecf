"""A runner that is stopped (SIGSTOP): what is asked of it waits, and comes before anything else."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


@contextlib.contextmanager
def stopped(session: cpr.Session) -> Iterator[int]:
    """While a session's runner is stopped."""
    pid = int(json.loads((session.path / "runner.json").read_bytes())["pid"])
    processes.stop(pid)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def session(stub_cpr: Cpr, stub: Stub) -> cpr.Session:
    """One task runs, and two wait for it."""
    stub.fifos("a")
    tasks = [
        {"id": "a", "prompt": plan(here="a", gate="a")},
        *({"id": i, "prompt": i} for i in "bc"),
    ]
    session = stub_cpr.launch(prompts(*tasks), "-j1")
    stub.await_here("a")
    return session


def test_a_pause_is_read_before_the_next_task_starts(
    session: cpr.Session, stub_cpr: Cpr, stub: Stub
) -> None:
    with stopped(session) as pid:
        stub.release("a")
        processes.await_state(stub.calls()["a"]["pid"], "Z")
        done = stub_cpr("pause", session.id)
        assert done.returncode == 0 and f"(process {pid}) is stopped" in done.stderr
    session.wait_until(lambda: session.snapshot.state == "paused", LIMIT_S, "the pause")
    session.wait_until(lambda: session[0].ok, LIMIT_S, "the first task")
    assert [task.state for task in session] == ["ended", "pending", "pending"]
    stub_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    assert sorted(stub.calls()) == ["a", "b", "c"]


def test_a_cancel_comes_back_with_what_helps_and_is_carried_out_later(
    session: cpr.Session, stub_cpr: Cpr, stub: Stub
) -> None:
    with stopped(session) as pid:
        for words in ([], ["--task", "c"]):
            done = stub_cpr("cancel", session.id, *words)
            assert done.returncode == 1 and "cancellation requested" in done.stdout
            assert f"(process {pid}) is stopped" in done.stderr
            assert f"kill -CONT {pid}" in done.stderr and done.stderr.count("\n") == 1
        assert not session.done()
    session.wait(LIMIT_S)
    assert session.state == "cancelled" and sorted(stub.calls()) == ["a"]


def test_a_cancel_that_waits_already_comes_back_when_the_runner_is_stopped(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("a")
    session = stub_cpr.launch(prompts(plan(ignore_term=True, here="a", gate="a")))
    stub.await_here("a")
    process = stub_cpr.start("cancel", session.id)
    session.wait_until(
        lambda: '"cancel"' in (session.path / "journal.jsonl").read_text(), LIMIT_S, "the request"
    )
    with stopped(session):
        assert process.wait(LIMIT_S) == 1
    stub.release("a")
    session.wait(LIMIT_S)


def test_the_library_says_so_too(
    session: cpr.Session,
    stub_cpr: Cpr,
    in_env: Callable[[dict[str, str]], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    in_env(stub_cpr.env)
    with stopped(session) as pid:
        assert session.cancel()
        assert f"kill -CONT {pid}" in "".join(capfd.readouterr())  # in a notebook on stdout
    session.wait(LIMIT_S)
    assert not session.cancel()
    assert "".join(capfd.readouterr()) == ""
