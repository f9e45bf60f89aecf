"""Shared processes of the real CLI on nodes: tasks share them, and none runs twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.node_agents import NodeAgents, journal, runner_pid, status_of
from testkit.processes import await_gone

pytestmark = pytest.mark.real_cli


OPTIONS = ("--share-process", "--executor", "agents", "--lease-s", "30", "--permissions", "all")


def touch(name: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": f"echo x >> {name}"}}


def test_tasks_share_processes_on_a_node(real_cpr: Cpr, tmp_path: Path) -> None:
    tasks = [{"prompt": script(touch(f"f{n}"), {"text": f"answer {n}"})} for n in range(4)]
    session = real_cpr.launch(prompts(*tasks), *OPTIONS)
    with NodeAgents(real_cpr, tmp_path / "logs") as agents:
        agents.join(session, "n1", slots=1)
        session.wait(LIMIT_S)
        agents.await_left(session)
    assert [task["outcome"] for task in status_of(session)["tasks"]] == ["succeeded"] * 4
    assert {task["node"] for task in status_of(session)["tasks"]} == {"n1"}
    assert {task["process"] for task in status_of(session)["tasks"]} == {1}
    assert not list(session.path.glob("process-*"))
    assert all((real_cpr.cwd / f"f{n}").read_text() == "x\n" for n in range(4))


def test_a_new_runner_waits_for_what_a_shared_process_does(real_cpr: Cpr, tmp_path: Path) -> None:
    os.mkfifo(real_cpr.cwd / "gate")
    os.mkfifo(real_cpr.cwd / "here")
    hold = {"tool": "Bash", "input": {"command": "echo x >> f0; echo h > here; read l < gate"}}
    tasks = [
        {"prompt": script(hold, {"text": "answer 0"})},
        {"prompt": script(touch("f1"), {"text": "answer 1"})},
    ]
    session = real_cpr.launch(prompts(*tasks), *OPTIONS)
    with NodeAgents(real_cpr, tmp_path / "logs") as agents:
        agents.join(session, "n1", slots=1)
        assert (real_cpr.cwd / "here").read_text() == "h\n"
        os.kill(runner_pid(session), signal.SIGKILL)
        real_cpr.good("resume", str(session.path))
        (real_cpr.cwd / "gate").write_text("go\n")
        session.wait(LIMIT_S)
        agents.await_left(session)
    first, second = status_of(session)["tasks"]
    assert (first["outcome"], first["attempts"], second["outcome"]) == ("succeeded", 1, "succeeded")
    assert (real_cpr.cwd / "f0").read_text() == "x\n"
    assert len(journal(session, "adopted")) == 1


def test_what_a_task_left_behind_ends_while_its_process_serves_the_next_one(
    real_cpr: Cpr, tmp_path: Path
) -> None:
    for name in ("gate", "here"):
        os.mkfifo(real_cpr.cwd / name)
    stays = "setsid sh -c 'echo $$ > left; exec sleep 1000' < /dev/null > /dev/null 2>&1 &"
    stays += " until [ -s left ]; do sleep 0.05; done"
    leave = {"tool": "Bash", "input": {"command": stays}}
    hold = {"tool": "Bash", "input": {"command": "echo h > here; read l < gate"}}
    tasks = [{"prompt": script(step, {"text": "done"})} for step in (leave, hold)]
    session = real_cpr.launch(prompts(*tasks), *OPTIONS, "--max-parallel", "1")
    with NodeAgents(real_cpr, tmp_path / "logs") as agents:
        agents.join(session, "n1", slots=1)
        assert (real_cpr.cwd / "here").read_text() == "h\n"
        await_gone(int((real_cpr.cwd / "left").read_text()))
        (real_cpr.cwd / "gate").write_text("go\n")
        session.wait(LIMIT_S)
        agents.await_left(session)
    assert {task["process"] for task in status_of(session)["tasks"]} == {1}
