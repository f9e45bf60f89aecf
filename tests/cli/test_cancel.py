"""Cancelling ends the whole tree of a task, keeps what is written, and leaves others alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.store.folder_id import folder_id

# A shell of an agent that has left processes in all the ways there are, and then blocks.
# Each of them says that it is there, so that nobody looks for it too early.
SPAWNING = (
    "echo before > {cwd}/kept-NAME.txt; "
    "nohup sh -c 'echo a > FIFO/here-NAME-1; read x < FIFO/never' > /dev/null 2>&1 & "
    "setsid sh -c 'echo b > FIFO/here-NAME-2; read x < FIFO/never' > /dev/null 2>&1 & "
    "(setsid nohup sh -c 'echo c > FIFO/here-NAME-3; read x < FIFO/never' > /dev/null 2>&1 &); "
    "echo ready > FIFO/here-NAME; read x < FIFO/never"
)


@pytest.fixture
def fifos(stub: Stub) -> Stub:
    """The stub's FIFOs, also for what the real CLI runs."""
    for name in ("one", "two"):
        stub.fifos(name, *[f"{name}-{number}" for number in (1, 2, 3)])
    return stub


def spawning(fifos: Stub, name: str) -> dict[str, Any]:
    command = SPAWNING.replace("FIFO", str(fifos.folder)).replace("NAME", name)
    bash = {"tool": "Bash", "input": {"command": command, "description": "spawn"}}
    return {"id": name, "prompt": script({"text": f"so far {name}", **bash}, {"text": "over"})}


def await_spawned(fifos: Stub, name: str) -> None:
    """Waits until everything that a task spawns is there."""
    for child in (name, f"{name}-1", f"{name}-2", f"{name}-3"):
        fifos.await_here(child)


def of_task(token: str, session: cpr.Session, task: str) -> list[str]:
    """The living processes of a task."""
    mark = f"CPR_TASK_TOKEN={session.id}/{folder_id(session.paths.root)}/{task}@1".encode()
    commands = []
    for pid, command in processes.survivors(token).items():
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if mark in environ.split(b"\0"):
            commands.append(command)
    return commands


@pytest.mark.real_cli
def test_cancel_of_a_session_ends_the_whole_tree_of_each_task(
    real_cpr: Cpr, fifos: Stub, token: str
) -> None:
    text = prompts(spawning(fifos, "one"), spawning(fifos, "two"), {"id": "third", "prompt": "c"})
    session = real_cpr.launch(text, "-j", "2", "--permissions", "all")
    for name in ("one", "two"):
        await_spawned(fifos, name)
        assert len(of_task(token, session, name)) >= 5
    output = real_cpr.good("cancel", session.id[:8])
    assert output == f"Session {session.id}: cancelled\n"
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}
    ends = [(task.outcome, task.reason, task.attempts) for task in session.refresh()]
    assert ends == [("cancelled", "cancelled", 1)] * 2 + [("cancelled", "cancelled", 0)]
    for name in ("one", "two"):
        assert (real_cpr.cwd / f"kept-{name}.txt").read_text() == "before\n"
        assert f"so far {name}" in session.task(name).text
    status = json.loads((session.path / "status.json").read_text())
    assert (status["overall_status"], status["n_cancelled"]) == ("cancelled", 3)
    assert "cancelled" in real_cpr.good("--status", session.id)


@pytest.mark.real_cli
def test_cancel_of_a_task_leaves_the_others_alone(
    real_cpr: Cpr, fifos: Stub, api: ScriptedApi, token: str
) -> None:
    other = {"id": "other", "prompt": script({"wait": "other", "text": "I went on"})}
    text = prompts(spawning(fifos, "one"), other)
    session = real_cpr.launch(text, "-j2", "--permissions", "all")
    await_spawned(fifos, "one")
    output = real_cpr.good("cancel", session.id, "--task", "1")
    assert output == "Task 1 (ID: one): cancelled\n"
    assert of_task(token, session, "one") == []
    assert not session.done()
    api.release("other")
    session.wait(LIMIT_S)
    assert (session.state, session[1].text) == ("completed", "I went on")


@pytest.mark.real_cli
def test_what_a_finished_task_left_running_is_swept_up(
    real_cpr: Cpr, fifos: Stub, token: str
) -> None:
    command = f"nohup sh -c 'read x < {fifos.folder}/never' > /dev/null 2>&1 & echo started"
    bash = {"tool": "Bash", "input": {"command": command, "description": "leave"}}
    session = real_cpr.launch(prompts(script(bash, {"text": "over"})), "--permissions", "all")
    assert session.wait(LIMIT_S)[0].text == "over"
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}


def test_leftovers_of_a_stub_are_swept_up_too(stub_cpr: Cpr, stub: Stub, token: str) -> None:
    session = stub_cpr.launch(prompts(plan(spawn=["setsid", "nohup"]))).wait(LIMIT_S)
    (call,) = stub.calls().values()
    assert len(call["children"]) == 2 and session[0].ok
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}


def test_cancel_of_what_has_ended_says_so(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts({"id": "a", "prompt": "a"})).wait(LIMIT_S)
    for flags in ([], ["--no-wait"]):
        output = stub_cpr.good("cancel", session.id, *flags)
        assert output == f"Session {session.id} had already ended: completed\n"
    output = stub_cpr.good("cancel", session.id, "--task", "a")
    assert output == "Task 1 (ID: a) had already ended: succeeded\n"
    assert session.refresh()[0].outcome == "succeeded"


def test_a_pending_task_that_is_cancelled_never_starts(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("first")
    first = {"id": "first", "prompt": plan(here="first", gate="first")}
    text = prompts(first, {"id": "second", "prompt": "b"}, {"id": "third", "prompt": "c"})
    session = stub_cpr.launch(text, "-j1")
    stub.await_here("first")
    assert "cancelled" in stub_cpr.good("cancel", session.id, "--task", "second")
    stub.release("first")
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded", "cancelled", "succeeded"]
    assert set(stub.calls()) == {"first", "third"}
    assert session.state == "completed"


def test_cancel_without_waiting_asks_only(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    session = stub_cpr.launch(prompts(plan(here="task", gate="task")))
    stub.await_here("task")
    output = stub_cpr.good("cancel", "--no-wait", session.id)
    assert output == f"Session {session.id}: cancellation requested\n"
    assert session.wait(LIMIT_S).state == "cancelled"


def test_a_task_of_an_unknown_name_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    for task in ("2", "0", "nope", ""):
        done = stub_cpr("cancel", session.id, "--task", task)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"has no task {task!r}" in done.stderr


@pytest.mark.slow
def test_a_task_that_ignores_the_request_is_killed_after_the_grace(
    stub_cpr: Cpr, stub: Stub, token: str
) -> None:
    stub.fifos("task")
    text = prompts(plan(ignore_term=True, spawn=["setsid"], here="task", gate="task"))
    session = stub_cpr.launch(text)
    stub.await_here("task")
    assert "cancelled" in stub_cpr.good("cancel", session.id)
    (task,) = session.refresh()
    assert (task.outcome, task.fields["signal"]) == ("cancelled", 9)
    assert task.fields["duration_s"] >= 10
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}


def test_a_cancel_is_heard_while_tasks_end_without_a_pause(stub_cpr: Cpr) -> None:
    stub_cpr.env["CPR_CLAUDE"] = "/bin/true"  # ends at once: there is always a child to reap
    session = stub_cpr.launch(prompts(*["a"] * 4000), "-j", "16", "--attempts", "1")
    session.wait_until(lambda: session.snapshot.count("completed") > 0, LIMIT_S, "the first task")
    session.cancel()
    session.wait(LIMIT_S)
    assert session.state == "cancelled" and session.snapshot.count("n_cancelled") > 500
