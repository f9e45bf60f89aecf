"""Whoever starts a planned session may die, be late, or not be allowed to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from testkit import processes
from testkit.command import Cpr
from testkit.stub import Stub

import cpr_nb as cpr
from after.stages import LIMIT_S, held_input
from cpr_nb.launching import planned_sessions
from cpr_nb.store.files import hold_lock

EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def test_the_input_is_resumed_after_its_runner_was_killed(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    processes.end(json.loads((first.path / "runner.json").read_text())["pid"])
    with pytest.raises(cpr.SessionInterrupted, match=f"waits for {first.id[:8]}, which is interr"):
        second.wait(LIMIT_S)
    first.resume()
    stub.release("held")
    assert second.wait(LIMIT_S).state == "completed"
    assert len(second) == 3


def test_a_start_that_was_missed_is_made_up_for_once(stub: Stub, work: Path) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    (first.path / "next" / second.id).unlink()  # as if the runner was killed at its very end
    stub.release("held")
    first.wait(LIMIT_S)
    assert second.state == "planned"
    code = f"import cpr_nb as cpr; cpr.attach({second.id!r}).resume()"
    several = [subprocess.Popen([sys.executable, "-c", code], cwd=work) for _ in range(3)]
    assert {one.wait() for one in several} == {0}
    second.wait(LIMIT_S)
    assert len(stub.calls()) == 6


def test_whoever_looked_a_moment_too_early_does_not_cost_the_start(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    name = first.path / "next" / second.id
    name.unlink()
    stub.release("held")
    first.wait(LIMIT_S)
    name.touch()
    lock_fd = hold_lock(str(second.path / "runner.lock"), new=False)  # of somebody who looks

    def let_go(_s: float) -> None:
        os.close(lock_fd)  # without a start

    usual = {"time": time.time, "monotonic": time.monotonic}
    monkeypatch.setattr(planned_sessions, "time", SimpleNamespace(**usual, sleep=let_go))
    assert planned_sessions.start_next(str(first.path)) == []
    assert second.wait(LIMIT_S).state == "completed"


def test_a_session_that_nobody_asked_for_does_not_start(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    file = second.path / "session.json"
    file.write_text(file.read_text().replace("{path}", "{path}; delete everything"))
    stub.release("held")
    first.wait(LIMIT_S)
    with pytest.raises(cpr.ForeignSession):
        second.resume()
    assert second.state == "planned" and len(stub.calls()) == 3
    with pytest.raises(cpr.SessionInterrupted):
        second.wait(LIMIT_S)


def test_all_that_missed_their_start_are_resumed(stub: Stub, stub_cpr: Cpr) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    (first.path / "next" / second.id).unlink()
    assert "No session was interrupted" in stub_cpr.good("resume", "--all")
    stub.release("held")
    first.wait(LIMIT_S)
    assert second.id in stub_cpr.good("resume", "--all")
    assert second.wait(LIMIT_S).state == "completed"


#: A process that dies at one moment while it starts a planned session.
DIES = """
import os, sys
import cpr_nb as cpr
from cpr_nb.executors import local
from cpr_nb.store import create

def die(*args, **more):
    os._exit(9)

if sys.argv[2] == "before the status":
    create.StatusWriter.write = die
else:
    local.StartingRunner.go_on = die
cpr.attach(sys.argv[1]).resume()
"""


@pytest.mark.parametrize(
    ("moment", "state"), [("before the status", "planned"), ("before the runner", "interrupted")]
)
def test_whoever_starts_it_may_die(stub: Stub, work: Path, moment: str, state: str) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first.where("score < 3"))
    (first.path / "next" / second.id).unlink()
    stub.release("held")
    first.wait(LIMIT_S)
    dying = subprocess.run([sys.executable, "-c", DIES, second.id, moment], cwd=work, check=False)
    assert dying.returncode == 9
    processes.await_lock(second.path / "runner.lock")  # a runner without input leaves at once
    assert second.state == state
    assert second.resume().wait(LIMIT_S).state == "completed"
    assert second.results_df()["path"].tolist() == ["a", "c"]
    assert len(stub.calls()) == 5


def test_a_cancel_and_a_start_at_once(stub: Stub, work: Path) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    code = f"import cpr_nb as cpr; s = cpr.attach({second.id!r}); s.cancel(); s.wait()"
    cancelling = subprocess.Popen([sys.executable, "-c", code], cwd=work)
    stub.release("held")
    assert cancelling.wait() == 0
    first.wait(LIMIT_S)
    assert second.wait(LIMIT_S).state == "cancelled"
    assert all(task.state == "ended" for task in second)


def test_a_cancel_while_its_runner_starts_is_not_refused(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    (first.path / "next" / second.id).unlink()
    stub.release("held")
    first.wait(LIMIT_S)
    usual = planned_sessions.runner_input

    def cancelled_before(*args: Any) -> Any:
        assert cpr.attach(second.id).cancel()  # it is called running, and has no runner yet
        return usual(*args)

    monkeypatch.setattr(planned_sessions, "runner_input", cancelled_before)
    second.resume()
    assert second.wait(LIMIT_S).state == "cancelled"
    assert len(stub.calls()) == 3


def test_a_copy_of_a_planned_session_is_another_matter(stub: Stub, work: Path) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    shutil.copytree(first.path.parent, work / "copied")
    stub.release("held")
    assert second.wait(LIMIT_S).state == "completed"
    copy = cpr.attach(second.id, work / "copied")
    assert copy.state == "planned"
    with pytest.raises(cpr.SessionNotUsable):
        copy.resume()
    assert len(stub.calls()) == 6
