"""A session on nodes, with the stub in the CLI's place: leases, ends, losses, a new runner."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, kill_group, prompts
from testkit.processes import await_lock, survivors
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.nodes import __file__ as nodes_file

_AGENT = str(Path(nodes_file).with_name("__main__.py"))


class Nodes:
    """Node agents on this machine.

    Args:
        env: Their environment.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def join(self, session: cpr.Session, *names: str, slots: int = 2) -> None:
        for name in names:
            argv = [sys.executable, "-I", _AGENT, str(session.path / "join.json")]
            self.processes[name] = subprocess.Popen(
                [*argv, "--slots", str(slots), "--name", name],
                env=self._env,
                start_new_session=True,
            )


@pytest.fixture
def nodes(stub_env: dict[str, str], tmp_path: Path, token: str) -> Iterator[Nodes]:
    spool = tmp_path / "spool"
    spool.mkdir()
    nodes = Nodes({**stub_env, "TMPDIR": str(spool)})
    yield nodes
    for process in nodes.processes.values():
        kill_group(process)
    await_twins(token)


def await_twins(token: str) -> None:
    """Waits for what node agents leave behind for a moment: their twins, which tell the hub."""
    for pid, command in survivors(token).items():
        if "nodes/__main__.py" in command:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                select.select([pidfd], [], [], LIMIT_S)
                os.close(pidfd)


def journal(session: cpr.Session) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (session.path / "journal.jsonl").read_text().splitlines()]


def test_tasks_run_on_nodes_and_end_as_they_do_here(stub_cpr: Cpr, nodes: Nodes) -> None:
    text = prompts("a", plan(result=None, exit=1, stderr="no"), "c")
    session = stub_cpr.launch(text, "--executor", "agents", "--lease-s", "2")
    nodes.join(session, "n1", "n2")
    session.wait(LIMIT_S)
    status = json.loads((session.path / "status.json").read_text())
    assert [task["outcome"] for task in status["tasks"]] == ["succeeded", "failed", "succeeded"]
    assert {task["node"] for task in status["tasks"]} <= {"n1", "n2"}
    assert {node["name"]: node["state"] for node in status["nodes"]} == {"n1": "left", "n2": "left"}
    for process in nodes.processes.values():
        assert process.wait(LIMIT_S) == 0
    leases = [line for line in journal(session) if line["event"] == "lease"]
    assert len({line["token"] for line in leases}) == len(leases)


def status_of(session: cpr.Session) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((session.path / "status.json").read_text())
    return status


def ends(session: cpr.Session) -> list[str]:
    kinds = ("remote_ended", "remote_lost")
    return [line["token"] for line in journal(session) if line["event"] in kinds]


def test_a_node_agent_that_is_killed_loses_no_task_and_no_attempt(
    stub_cpr: Cpr, stub: Stub, nodes: Nodes
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"))
    session = stub_cpr.launch(text, "--executor", "agents", "--lease-s", "30")
    nodes.join(session, "n1")
    stub.await_here("held")
    nodes.processes["n1"].send_signal(signal.SIGKILL)
    nodes.join(session, "n2")
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["attempts"], task["node"]) == ("succeeded", 2, "n2")
    lines = journal(session)
    (rested,) = [line for line in lines if line["event"] == "attempt_ended"]
    assert (rested["counted"], rested["reason"]) == (False, "vanished")
    assert len(ends(session)) == len(set(ends(session))) == 2


def test_a_node_agent_that_is_stopped_hands_its_task_on(
    stub_cpr: Cpr, stub: Stub, nodes: Nodes
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"))
    session = stub_cpr.launch(text, "--executor", "agents", "--lease-s", "30")
    nodes.join(session, "n1")
    stub.await_here("held")
    nodes.processes["n1"].terminate()
    nodes.join(session, "n2")
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["attempts"], task["node"]) == ("succeeded", 2, "n2")
    causes = [line.get("cause") for line in journal(session) if line["event"] == "remote_ended"]
    assert causes == ["stop", None]


@pytest.mark.parametrize("identity", ["same", "another"])
def test_a_new_runner_adopts_what_runs_on_nodes(
    stub_cpr: Cpr, stub: Stub, nodes: Nodes, identity: str
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"), "b")
    options = ("--executor", "agents", "--lease-s", "30", "--max-parallel", "1")
    session = stub_cpr.launch(text, *options)
    nodes.join(session, "n1")
    stub.await_here("held")
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    if identity == "another":  # so it may look from another machine
        await_lock(session.path / "runner.lock")
        copy = session.path.with_name("copy")
        shutil.copytree(session.path, copy)
        shutil.rmtree(session.path)
        copy.rename(session.path)
    stub_cpr.good("resume", str(session.path))
    stub.release("held")
    session.wait(LIMIT_S)
    first, second = status_of(session)["tasks"]
    assert (first["outcome"], first["exit_code"], first["attempts"]) == ("succeeded", 0, 1)
    assert second["outcome"] == "succeeded"
    assert "adopted" in [line["event"] for line in journal(session)]


def test_a_cancelled_task_ends_on_its_node(stub_cpr: Cpr, stub: Stub, nodes: Nodes) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held", spawn=["setsid"]))
    session = stub_cpr.launch(text, "--executor", "agents", "--lease-s", "30")
    nodes.join(session, "n1")
    stub.await_here("held")
    stub_cpr.good("cancel", str(session.path))
    session.wait(LIMIT_S)
    assert status_of(session)["tasks"][0]["outcome"] == "cancelled"
    assert nodes.processes["n1"].wait(LIMIT_S) == 0


def test_a_check_runs_on_the_node(stub_cpr: Cpr, stub: Stub, nodes: Nodes) -> None:
    text = prompts("a")
    options = ("--executor", "agents", "--lease-s", "30", "--check", "echo $CPR_NODE; exit 3")
    session = stub_cpr.launch(text, *options)
    nodes.join(session, "n1")
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["reason"]) == ("failed", "check_failed")
    assert "n1." in task["error"]
