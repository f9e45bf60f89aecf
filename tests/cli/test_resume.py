"""Going on after an interruption: nothing lost, nothing run twice, one command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


def runner_pid(session: cpr.Session) -> int:
    return int(json.loads((session.path / "runner.json").read_text())["pid"])


def kill_runner(session: cpr.Session, number: int = signal.SIGKILL) -> None:
    os.kill(runner_pid(session), number)
    processes.await_lock(session.path / "runner.lock")


def journal(session: cpr.Session) -> list[dict[str, object]]:
    return [json.loads(x) for x in (session.path / "journal.jsonl").read_text().splitlines()]


@pytest.fixture
def killed(stub_cpr: Cpr, stub: Stub, token: str) -> Iterator[cpr.Session]:
    """An ended, a running and a pending task; the runner was killed, the agent lives."""
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(say="so far", here="held", gate="held")}
    text = prompts({"id": "good", "prompt": "a"}, held, {"id": "left", "prompt": "c"})
    session = stub_cpr.launch(text, "-j1")
    stub.await_here("held")
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second task")
    kill_runner(session)
    yield session
    for pid in processes.survivors(token):
        processes.end(pid)


def test_an_agent_that_lives_is_adopted_and_the_rest_runs(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session
) -> None:
    assert killed.state == "interrupted"
    output = stub_cpr.good("resume", killed.id[:8])
    assert "resumed, 2 of 3 tasks left" in output
    assert killed.state == "running"
    stub.release("held")
    killed.wait(LIMIT_S)
    assert [(task.outcome, task.attempts, task.text) for task in killed] == [
        ("succeeded", 1, "done")
    ] * 3
    assert sorted(stub.calls()) == ["good", "held", "left"]
    assert killed.head["cost_usd"] == 0.75 and killed.head["n_resumes"] == 1
    assert [line["event"] for line in journal(killed)].count("adopted") == 1


def test_an_agent_that_ended_meanwhile_has_the_outcome_of_its_result(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session
) -> None:
    pid = stub.calls()["held"]["pid"]
    pidfd = os.pidfd_open(pid)
    stub.release("held")
    import select

    select.select([pidfd], [], [])
    os.close(pidfd)
    stub_cpr.good("resume", "--all")
    killed.wait(LIMIT_S)
    held = killed.task("held")
    assert (held.outcome, held.attempts, held.text) == ("succeeded", 1, "done")
    assert "exit_code" not in held.fields, "nobody knows it"


def test_an_agent_that_died_begins_again_and_that_is_no_failure(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session
) -> None:
    processes.end(stub.calls()["held"]["pid"])
    stub_cpr.good("resume", killed.id)
    assert stub.await_here("held") == "held"
    stub.release("held")
    killed.wait(LIMIT_S)
    held = killed.task("held")
    assert (held.outcome, held.attempts) == ("succeeded", 2)
    (ended,) = [x for x in journal(killed) if x["event"] == "attempt_ended"]
    assert (ended["reason"], ended["counted"]) == ("vanished", False)
    assert (killed.path / "task-held.jsonl").exists() and (
        killed.path / "task-held@2.jsonl"
    ).exists()


def test_of_two_resumes_one_wins_and_the_other_says_so(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session
) -> None:
    import subprocess

    both = [
        stub_cpr.start("resume", killed.id, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=LIMIT_S) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 2], outputs
    (error,) = [err.decode() for _, err in outputs if err]
    assert error.startswith("cpr: can't resume") and error.count("\n") == 1
    stub.release("held")
    killed.wait(LIMIT_S)
    assert sorted(stub.calls()) == ["good", "held", "left"]


def test_what_has_ended_or_runs_can_not_be_resumed(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("x")
    running = stub_cpr.launch(prompts(plan(here="x", gate="x")))
    stub.await_here("x")
    done = stub_cpr("resume", running.id)
    assert done.returncode == 2 and "it is already running" in done.stderr
    stub.release("x")
    running.wait(LIMIT_S)
    done = stub_cpr("resume", running.id)
    assert done.returncode == 2 and "it is completed; cpr retry" in done.stderr
    assert "No session was interrupted" in stub_cpr.good("resume", "--all")


def test_a_cancel_of_an_interrupted_session_is_carried_out_here_and_now(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session, token: str
) -> None:
    assert stub_cpr.good("cancel", killed.id) == f"Session {killed.id}: cancelled\n"
    assert [task.outcome for task in killed.refresh()] == ["succeeded", "cancelled", "cancelled"]
    processes.await_lock(killed.path / "runner.lock")
    assert processes.survivors(token) == {}
    assert sorted(stub.calls()) == ["good", "held"]


def test_a_cancel_of_one_task_of_an_interrupted_session_starts_nothing(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session, token: str
) -> None:
    stub_cpr.good("cancel", killed.id, "--task", "left")
    processes.await_lock(killed.path / "runner.lock")
    assert killed.state == "interrupted"
    assert [task.outcome for task in killed] == ["succeeded", None, "cancelled"]
    assert len(processes.survivors(token)) == 1, "the other agent was left alone"
    stub_cpr.good("cancel", killed.id, "--task", "held")
    assert killed.refresh().state == "completed"
    assert [task.outcome for task in killed] == ["succeeded", "cancelled", "cancelled"]


def test_a_runner_that_is_stopped_hands_over(stub_cpr: Cpr, stub: Stub, token: str) -> None:
    stub.fifos("one")
    text = prompts({"id": "one", "prompt": plan(here="one", gate="one")}, "b")
    session = stub_cpr.launch(text, "-j1")
    stub.await_here("one")
    kill_runner(session, signal.SIGTERM)
    assert session.state == "interrupted" and processes.survivors(token) == {}
    assert "its runner was stopped (signal 15)" in stub_cpr.good("status", session.id)
    stub_cpr.good("resume", session.id)
    stub.await_here("one")
    stub.release("one")
    session.wait(LIMIT_S)
    assert [(task.outcome, task.attempts) for task in session] == [
        ("succeeded", 2),
        ("succeeded", 1),
    ]
    assert "notice" not in session.head


def test_values_that_are_not_stored_must_be_given_again(
    stub_cpr: Cpr, stub: Stub, token: str
) -> None:
    stub.fifos("one")
    text = prompts(
        {"id": "one", "prompt": plan(here="one", gate="one")}, {"id": "b", "prompt": "b"}
    )
    session = stub_cpr.launch(text, "-j1", "--env", "KEY=secret-1")
    stub.await_here("one")
    kill_runner(session)
    done = stub_cpr("resume", session.id)
    assert done.returncode == 2 and "pass it again with --env KEY=VALUE" in done.stderr
    assert session.state == "interrupted"
    stub_cpr.good("resume", session.id, "--env", "KEY=secret-2")
    stub.release("one")
    session.wait(LIMIT_S)
    assert stub.calls()["b"]["env"]["KEY"] == "secret-2"
    for file in session.path.rglob("*"):
        if file.is_file() and ".jsonl" not in file.name:
            assert b"secret-" not in file.read_bytes(), file


@pytest.mark.parametrize("how", ["writable folder", "writable file", "link"])
def test_a_folder_that_others_may_write_is_not_executed(
    stub_cpr: Cpr, killed: cpr.Session, how: str, tmp_path: Path
) -> None:
    path = killed.path / "session.json"
    if how == "writable folder":
        killed.path.chmod(0o770)
    elif how == "writable file":
        path.chmod(0o622)
    else:
        path.rename(tmp_path / "theirs.json")
        path.symlink_to(tmp_path / "theirs.json")
    done = stub_cpr("resume", killed.id)
    assert done.returncode == 2 and "writable by others" in done.stderr
    assert killed.state == "interrupted"


def test_the_library_resumes(
    stub_cpr: Cpr,
    stub: Stub,
    killed: cpr.Session,
    in_env: Callable[[dict[str, str]], None],
) -> None:
    in_env(stub_cpr.env)
    session = cpr.attach(killed.id)
    with pytest.raises(cpr.SessionInterrupted, match="cpr resume"):
        session.wait()
    assert session.resume() is session and session.state == "running"
    with pytest.raises(cpr.SessionNotUsable, match="already running"):
        session.resume()
    stub.release("held")
    assert session.wait(LIMIT_S).state == "completed"


def test_a_status_that_is_lost_with_its_runner_is_not_taken_for_a_running_one(
    killed: cpr.Session,
) -> None:
    assert killed.state == "interrupted"
    (killed.path / "status.json").write_bytes(b"")
    with pytest.raises(cpr.SessionInterrupted, match="unreadable"):
        killed.wait(LIMIT_S)


def test_a_status_that_someone_removes_is_written_again_while_nothing_happens(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(prompts(plan(here="x", gate="x")))
    stub.await_here("x")
    session.wait_until(lambda: session[0].state == "running", LIMIT_S, "the task")
    (session.path / "status.json").unlink()
    fresh = cpr.Session(session.path)
    while fresh.state == "unreadable":
        fresh.refresh()
    assert fresh.state == "running"
    stub.release("x")
    session.wait(LIMIT_S)


def test_a_warning_outlives_its_runner(stub_cpr: Cpr, stub: Stub, killed: cpr.Session) -> None:
    with (killed.path / "journal.jsonl").open("a") as file:  # as a runner writes it
        file.write('{"event": "warning", "text": "a server failed"}\n')
    stub_cpr.good("resume", killed.id[:8])
    stub.release("held")
    killed.wait(LIMIT_S)
    assert killed.warnings == ["a server failed"]
    assert "Warning: a server failed" in stub_cpr.good("status", killed.id)


def test_what_a_repository_brings_after_the_launch_needs_trust(
    stub_cpr: Cpr, stub: Stub, killed: cpr.Session, work: Path
) -> None:
    (work / ".mcp.json").write_text('{"mcpServers": {"db": {"command": "x"}}}')
    refused = stub_cpr("resume", killed.id)
    assert refused.returncode == 2 and ".mcp.json" in refused.stderr
    assert killed.refresh().state == "interrupted"
    stub_cpr.good("trust", str(work), "--yes")
    stub_cpr.good("resume", killed.id)
    stub.release("held")
    assert [task.outcome for task in killed.wait(LIMIT_S)] == ["succeeded"] * 3
