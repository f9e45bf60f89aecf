"""A runner that can't continue ends what it runs, and says so where it still can."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
from pathlib import Path

from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


def two_held(stub_cpr: Cpr, stub: Stub) -> cpr.Session:
    """A session with two running tasks, one with children, and a pending one."""
    stub.fifos("one", "two")
    elements = [
        {"id": "one", "prompt": plan(here="one", gate="one")},
        {"id": "two", "prompt": plan(here="two", gate="two", spawn=["setsid", "nohup"])},
        {"id": "three", "prompt": "c" * 20_000},  # more than a reader keeps of a file
    ]
    session = stub_cpr.launch(prompts(*elements), "-j2")
    stub.await_here("one")
    stub.await_here("two")
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second task")
    return session


def test_an_answer_that_cannot_be_written_costs_no_other_task(stub_cpr: Cpr, stub: Stub) -> None:
    session = two_held(stub_cpr, stub)
    (session.path / "task-one.txt").mkdir()
    stub.release("one")
    stub.release("two")
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"] * 3
    assert "Is a directory" in (session.path / "runner.log").read_text()


def test_agents_end_with_a_folder_that_someone_removes(
    stub_cpr: Cpr, stub: Stub, token: str
) -> None:
    session = two_held(stub_cpr, stub)
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    pidfd = os.pidfd_open(runner)
    shutil.rmtree(session.path)
    stub.release("one")
    select.select([pidfd], [], [])
    os.close(pidfd)
    assert processes.survivors(token) == {}
    assert stub_cpr.good("list").startswith("No sessions found")


def test_agents_of_a_launch_in_the_background_can_be_interrupted(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    (stub_cpr.cwd / "p.json").write_text(prompts(plan(here="held", gate="held")))
    # A shell without job control: SIGINT and SIGQUIT are ignored in what it starts with &.
    subprocess.run(
        ["sh", "-c", '"$0" p.json & wait', stub_cpr.path],
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    stub.await_here("held")
    (call,) = stub.calls().values()
    (line,) = [
        line
        for line in Path(f"/proc/{call['pid']}/status").read_text().splitlines()
        if line.startswith("SigIgn:")
    ]
    stub.release("held")
    (folder,) = (stub_cpr.cwd / "results").glob("session-*")
    cpr.Session(folder).wait(LIMIT_S)
    mask = int(line.split()[1], 16)
    for number in (signal.SIGINT, signal.SIGQUIT):
        assert not mask & (1 << (number - 1)), f"{number!r} is ignored in the agent"
