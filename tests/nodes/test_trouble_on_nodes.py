"""What goes wrong with a session on nodes: its hub dies, its runner leaves, a login is refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.node_agents import NodeAgents, journal, runner_pid, status_of
from testkit.processes import await_gone
from testkit.stub import Stub, plan

import cpr_nb as cpr

OPTIONS = ("--executor", "agents", "--lease-s", "30")
HELD = plan(here="held", gate="held")


def hub_pid(session: cpr.Session) -> int:
    """The hub of a session: the only child of its runner that is a program of Python."""
    pid = runner_pid(session)
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    (hub,) = [child for child in children if "nodes/hub.py" in command_line(child)]
    return hub


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_a_hub_that_dies_is_replaced_and_nothing_runs_twice(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(prompts(HELD, "b"), *OPTIONS, "--max-parallel", "1")
    nodes.join(session, "n1", slots=2)
    stub.await_here("held")
    os.kill(hub_pid(session), signal.SIGKILL)
    stub.release("held")
    session.wait(LIMIT_S)
    assert [task["attempts"] for task in status_of(session)["tasks"]] == [1, 1]
    assert len(journal(session, "remote_ended", "remote_lost")) == 2
    assert len(stub.calls()) == 2


def test_a_runner_that_is_told_to_leave_ends_what_runs_and_the_next_one_goes_on(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(prompts(HELD), *OPTIONS)
    nodes.join(session, "n1", slots=1)
    stub.await_here("held")
    pid = runner_pid(session)
    os.kill(pid, signal.SIGTERM)
    await_gone(pid)
    (end,) = journal(session, "remote_ended")
    assert end["status"] == signal.SIGTERM
    stub_cpr.good("resume", str(session.path))
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)
    (task,) = status_of(session)["tasks"]
    assert (task["outcome"], task["attempts"]) == ("succeeded", 2)
    assert [line["counted"] for line in journal(session, "attempt_ended")] == [False]


def test_a_task_is_cancelled_although_its_runner_is_gone(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(prompts(HELD, "b"), *OPTIONS, "--max-parallel", "1")
    nodes.join(session, "n1", slots=1)
    stub.await_here("held")
    pid = runner_pid(session)
    os.kill(pid, signal.SIGKILL)
    await_gone(pid)
    stub_cpr.good("cancel", str(session.path))
    session.wait(LIMIT_S)
    outcomes = [task["outcome"] for task in status_of(session)["tasks"]]
    assert outcomes == ["cancelled", "cancelled"]
    assert len(stub.calls()) == 1


def test_a_refused_login_concerns_its_node_only(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    stub.fifos("held")
    refused = {"is_error": True, "result": "Please run /login", "api_error_status": 401}
    text = prompts(
        plan(here="held", gate="held", result=refused, exit=1, mended={"is_error": False})
    )
    session = stub_cpr.launch(text, *OPTIONS)
    nodes.join(session, "n1", "n2", slots=1)
    stub.await_here("held")

    def both_are_there() -> bool:
        return len(session.refresh().head.get("nodes", ())) == 2

    session.wait_until(both_are_there, LIMIT_S, "both nodes")
    stub.release("held")
    stub.await_here("held")
    first, second = (line["node"] for line in journal(session, "started"))

    def states() -> dict[str, str]:
        return {node["name"]: node["state"] for node in session.refresh().head["nodes"]}

    said = {first: "no_login", second: "live"}
    session.wait_until(lambda: states() == said, LIMIT_S, "a node without a login")
    stub.mend()
    stub.release("held")
    session.wait(LIMIT_S)
    (task,) = status_of(session)["tasks"]
    assert (task["outcome"], task["attempts"], task["node"]) == ("succeeded", 2, second)
    assert [line["counted"] for line in journal(session, "attempt_ended")] == [False]


def test_a_check_whose_node_is_lost_runs_again(
    stub_cpr: Cpr, stub: Stub, nodes: NodeAgents
) -> None:
    checks = stub_cpr.cwd / "checks"
    check = f"echo x >> {checks}; test $(wc -l < {checks}) = 2 || sleep 1000"
    session = stub_cpr.launch(prompts("a"), *OPTIONS, "--check", check)
    nodes.join(session, "n1", slots=1)
    has_begun = lambda: checks.exists() and checks.read_text() == "x\n"  # noqa: E731
    session.wait_until(has_begun, LIMIT_S, "the check")
    nodes.processes["n1"].kill()
    nodes.join(session, "n2", slots=1)
    session.wait(LIMIT_S)
    (task,) = status_of(session)["tasks"]
    assert (task["outcome"], task["attempts"]) == ("succeeded", 1)
    assert checks.read_text() == "x\nx\n"
    tokens = [line["token"] for line in journal(session, "lease")]
    assert len(set(tokens)) == len(tokens) == 3
