"""A runner that is killed: every face says so at once, and nothing is lost that was written."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


@pytest.fixture
def killed(stub_cpr: Cpr, stub: Stub, token: str) -> Iterator[cpr.Session]:
    """A session with an ended, a running and a pending task, whose runner was killed."""
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(say="so far", here="held", gate="held")}
    text = prompts({"id": "good", "prompt": "a"}, held, {"id": "left", "prompt": "c"})
    session = stub_cpr.launch(text, "-j1")
    stub.await_here("held")
    session.wait_until(lambda: session[1].state == "running", 60, "the second task")
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    os.kill(runner, signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    yield session
    for pid in processes.survivors(token):
        processes.end(pid)


def test_the_command_says_that_a_session_is_interrupted(stub_cpr: Cpr, killed: cpr.Session) -> None:
    session_id = killed.id
    assert f"❌ {session_id[:8]} [interrupted]" in stub_cpr.good("--list")
    assert "Interrupted: 1\n" in stub_cpr.good("overview")
    status = stub_cpr.good("status", session_id)
    assert "Status: interrupted\n" in status and "interrupted: its runner ended" in status
    assert f"cpr resume {session_id[:8]} continues it" in status
    assert "Task 1 (ID: good): completed\n" in status
    (row,) = json.loads(stub_cpr.good("list", "--json"))
    assert (row["state"], row["n_succeeded"], row["n_running"]) == ("interrupted", 1, 1)
    results = stub_cpr.good("results", session_id)
    assert "so far\n[Task interrupted]" in results and "[Task never started]" in results


def test_what_needs_a_runner_is_refused(stub_cpr: Cpr, killed: cpr.Session) -> None:
    for args in (("pause", killed.id), ("set", killed.id, "max-parallel=2")):
        done = stub_cpr(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert "it is interrupted, no runner works on it" in done.stderr


def test_watching_and_following_end_at_once(stub_cpr: Cpr, killed: cpr.Session) -> None:
    for command in (["watch"], ["logs", "-f"]):
        done = stub_cpr(*command, killed.id)
        assert (done.returncode, done.stderr) == (0, "")
    assert stub_cpr("watch", "--exit-code", killed.id).returncode == 1
    with stub_cpr.on_terminal("watch", killed.id) as terminal:
        assert terminal.finish() == 0
        assert "interrupted: its runner ended before the session did" in terminal.text


def test_the_library_says_that_a_session_is_interrupted(
    stub_cpr: Cpr, killed: cpr.Session, in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_cpr.env)
    session = cpr.attach(killed.id[:8])
    assert session.state == "interrupted" == killed.state and not session.done()
    for wait in (session.wait, session[1].result, session[2].exception):
        with pytest.raises(cpr.SessionInterrupted, match=session.id):
            wait()
    assert session[0].result() == "done"
    with pytest.raises(cpr.SessionInterrupted):
        [task.id for task in session.as_completed()]
    assert session[1].text == "so far"


def test_a_task_can_be_restored_from_the_journal(killed: cpr.Session, stub: Stub) -> None:
    lines = [json.loads(x) for x in (killed.path / "journal.jsonl").read_text().splitlines()]
    started = {line["task_id"]: line["pid"] for line in lines if line["event"] == "started"}
    assert started["held"] == stub.calls()["held"]["pid"]
    assert [x["task_id"] for x in lines if x["event"] == "ended"] == ["good"]
    assert (Path(f"/proc/{started['held']}") / "cmdline").exists()
