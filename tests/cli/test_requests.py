"""Requests reach a runner through the state directory only: what agents leave controls nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.store.folder_id import folder_id
from cpr_nb.store.state_dir import requests_dir, state_dir

FORGED = ("cancel", "cancel-held", "cancel-left", "pause", "max-parallel")


def launch_held(stub_cpr: Cpr, stub: Stub, **more: Any) -> cpr.Session:
    """A session whose first task is held; another one is pending."""
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(here="held", gate="held")}
    session = stub_cpr.launch(prompts(held, {"id": "left", "prompt": "b"}), "-j1", **more)
    stub.await_here("held")
    session.wait_until(lambda: session[0].state == "running", LIMIT_S, "the first task")
    return session


def requests_of(session: cpr.Session) -> Path:
    """The folder of the requests to its runner."""
    return Path(requests_dir(session.id, folder_id(str(session.path))))


def forge(session: cpr.Session) -> None:
    """What an agent can leave in the session's folder."""
    folder = session.path / "requests"
    folder.mkdir(exist_ok=True)
    for name in FORGED:
        (folder / name).write_text("9")


def read(session: cpr.Session) -> list[object]:
    """The requests that runners have read."""
    lines = map(json.loads, (session.path / "journal.jsonl").read_text().splitlines())
    return [line["name"] for line in lines if line["event"] == "request"]


def kill_runner(session: cpr.Session) -> None:
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")


@pytest.fixture
def ending(token: str) -> Iterator[None]:
    """What a killed runner leaves is ended."""
    yield
    for pid in processes.survivors(token):
        processes.end(pid)


def test_what_lies_in_the_sessions_folder_is_no_request(stub_cpr: Cpr, stub: Stub) -> None:
    session = launch_held(stub_cpr, stub)
    forge(session)
    stub_cpr.good("set", session.id, "max-parallel=2")
    session.wait_until(lambda: session.max_parallel == 2, LIMIT_S, "the request")
    stub.release("held")
    session.wait(LIMIT_S)
    assert (session.state, [task.ok for task in session]) == ("completed", [True, True])
    assert read(session) == ["max-parallel"]
    processes.await_lock(session.path / "runner.lock")
    assert not requests_of(session).exists(), "the runner removes it at its end"


@pytest.mark.usefixtures("ending")
def test_neither_is_it_after_a_restart(stub_cpr: Cpr, stub: Stub) -> None:
    session = launch_held(stub_cpr, stub)
    kill_runner(session)
    forge(session)
    stub_cpr.good("resume", session.id)
    stub.release("held")
    session.wait(LIMIT_S)
    assert (session.state, [task.ok for task in session]) == ("completed", [True, True])
    assert read(session) == []


@pytest.mark.usefixtures("ending")
def test_a_request_that_a_killed_runner_has_not_read_is_carried_out(
    stub_cpr: Cpr, stub: Stub
) -> None:
    session = launch_held(stub_cpr, stub)
    kill_runner(session)
    (requests_of(session) / "cancel-left").touch()
    stub_cpr.good("resume", session.id)
    stub.release("held")
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded", "cancelled"]


@pytest.mark.usefixtures("ending")
def test_a_session_without_a_runner_is_cancelled_and_leaves_no_folder(
    stub_cpr: Cpr, stub: Stub
) -> None:
    session = launch_held(stub_cpr, stub)
    kill_runner(session)
    stub_cpr.good("cancel", session.id, "--task", "left")
    session.wait_until(lambda: session[1].outcome == "cancelled", LIMIT_S, "the cancel")
    processes.await_lock(session.path / "runner.lock")
    assert session.state == "interrupted" and not requests_of(session).exists()
    session.cancel()
    session.wait_until(session.done, LIMIT_S, "the end")
    assert [task.outcome for task in session] == ["cancelled", "cancelled"]


def test_an_interface_with_another_state_directory_says_so_at_once(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    session = launch_held(stub_cpr, stub)
    elsewhere = {"CPR_STATE_DIR": str(tmp_path / "elsewhere")}
    commands = [
        ("cancel", ("cancel", session.id)),
        ("cancel", ("cancel", session.id, "--task", "left")),
        ("pause", ("pause", session.id)),
        ("set max_parallel of", ("set", session.id, "max-parallel=2")),
    ]
    host = os.uname().nodename
    for verb, args in commands:
        done = stub_cpr(*args, env=elsewhere)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"cpr: can't {verb} {session.id[:8]}: its runner on {host} listens in another state "
            "directory; run cpr there, or share CPR_STATE_DIR\n"
        )
    assert not (session.path / "requests").exists()
    assert cpr.Session(session.path).cancel(), "the same state directory under another process"
    session.wait(LIMIT_S)
    assert session.state == "cancelled"


@pytest.mark.parametrize("has_moved", [False, True])
def test_without_a_state_directory_all_goes_on_as_before(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path, has_moved: bool
) -> None:
    """With one meanwhile it is as with a runner of the version before, which lives on."""
    (tmp_path / "file").touch()
    none = {"CPR_STATE_DIR": str(tmp_path / "file" / "below")}
    session = launch_held(stub_cpr, stub, env=none)
    env = {} if has_moved else none
    stub_cpr.good("pause", session.id, env=env)
    session.wait_until(lambda: session.state == "paused", LIMIT_S, "the pause")
    stub_cpr.good("resume", session.id, env=env)
    session.wait_until(lambda: session.state == "running", LIMIT_S, "going on")
    stub_cpr.good("cancel", session.id, env=env)
    session.wait(LIMIT_S)
    assert (session.state, read(session)) == ("cancelled", ["pause", "go-on", "cancel"])


def test_a_launch_that_fails_leaves_no_folder(
    stub_env: dict[str, str],
    in_env: Callable[[dict[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_env(stub_env)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(cpr.LaunchError):
        cpr.launch(["a"], results_dir="results")
    assert list((Path(state_dir()) / "requests").iterdir()) == []
