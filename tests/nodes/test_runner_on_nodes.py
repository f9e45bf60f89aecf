"""A session on nodes, with the stub in the CLI's place: leases, ends, losses, a new runner."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.node_agents import NodeAgents, journal, runner_pid, status_of
from testkit.processes import await_lock
from testkit.stub import Stub, plan

OPTIONS = ("--executor", "agents", "--lease-s", "30")


def test_tasks_run_on_nodes_and_end_as_they_do_here(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    held = plan(here="held", gate="held")
    session = stub_cpr.launch(prompts(held, plan(result=None, exit=1, stderr="no"), "c"), *OPTIONS)
    nodes.join(session, "n1", "n2", slots=2)
    stub.await_here("held")
    session.wait_until(lambda: len(status_of(session)["nodes"]) == 2, LIMIT_S, "n1 and n2")
    stub.release("held")
    session.wait(LIMIT_S)
    status = status_of(session)
    assert [task["outcome"] for task in status["tasks"]] == ["succeeded", "failed", "succeeded"]
    assert {task["node"] for task in status["tasks"]} <= {"n1", "n2"}
    assert {node["name"]: node["state"] for node in status["nodes"]} == {"n1": "left", "n2": "left"}
    nodes.await_left(session)
    leases = [line for line in journal(session) if line["event"] == "lease"]
    assert len({line["token"] for line in leases}) == len(leases)


def test_a_node_agent_that_is_killed_loses_no_task_and_no_attempt(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"))
    session = stub_cpr.launch(text, *OPTIONS)
    nodes.join(session, "n1", slots=2)
    stub.await_here("held")
    nodes.processes["n1"].send_signal(signal.SIGKILL)
    nodes.join(session, "n2", slots=2)
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["attempts"], task["node"]) == ("succeeded", 2, "n2")
    lines = journal(session)
    (rested,) = [line for line in lines if line["event"] == "attempt_ended"]
    assert (rested["counted"], rested["reason"]) == (False, "vanished")
    ends = [line["token"] for line in journal(session, "remote_ended", "remote_lost")]
    assert len(ends) == len(set(ends)) == 2


def test_a_node_agent_that_is_stopped_hands_its_task_on(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"))
    session = stub_cpr.launch(text, *OPTIONS)
    nodes.join(session, "n1", slots=2)
    stub.await_here("held")
    nodes.processes["n1"].terminate()
    nodes.join(session, "n2", slots=2)
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["attempts"], task["node"]) == ("succeeded", 2, "n2")
    causes = [line.get("cause") for line in journal(session) if line["event"] == "remote_ended"]
    assert causes == ["stop", None]


@pytest.mark.parametrize("identity", ["same", "another"])
def test_a_new_runner_adopts_what_runs_on_nodes(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents, identity: str
) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held"), "b")
    options = (*OPTIONS, "--max-parallel", "1")
    session = stub_cpr.launch(text, *options)
    nodes.join(session, "n1", slots=2)
    stub.await_here("held")
    os.kill(runner_pid(session), signal.SIGKILL)
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


def test_a_cancelled_task_ends_on_its_node(stub_cpr: Cpr, stub: Stub, nodes: NodeAgents) -> None:
    stub.fifos("held")
    text = prompts(plan(here="held", gate="held", spawn=["setsid"]))
    session = stub_cpr.launch(text, *OPTIONS)
    nodes.join(session, "n1", slots=2)
    stub.await_here("held")
    stub_cpr.good("cancel", str(session.path))
    session.wait(LIMIT_S)
    assert status_of(session)["tasks"][0]["outcome"] == "cancelled"
    assert nodes.processes["n1"].wait(LIMIT_S) == 0


def test_a_check_runs_on_the_node(stub_cpr: Cpr, stub: Stub, nodes: NodeAgents) -> None:
    text = prompts("a")
    options = (*OPTIONS, "--check", "echo $CPR_NODE; exit 3")
    session = stub_cpr.launch(text, *options)
    nodes.join(session, "n1", slots=2)
    session.wait(LIMIT_S)
    task = status_of(session)["tasks"][0]
    assert (task["outcome"], task["reason"]) == ("failed", "check_failed")
    assert "n1." in task["error"]
