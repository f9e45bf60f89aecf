"""Agents, what they start, checks and set-ups give way to the person's own work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.repository import Checkout
from testkit.stub import Stub, plan

from cpr_nb.runner import process
from cpr_nb.runner.niceness import DEFAULT_NICE
from cpr_nb.runner.process import read_file

pytestmark = pytest.mark.skipif(not process.LINUX, reason="reads /proc")
HAS_GROUPS = read_file("/proc/sys/kernel/sched_autogroup_enabled").strip() == b"1"
groups = pytest.mark.skipif(not HAS_GROUPS, reason="the kernel does not group by session")


def group_nice(pid: int) -> int:
    """The nice value of the session that a process is in."""
    return int(read_file(f"/proc/{pid}/autogroup").split()[-1])


@pytest.mark.parametrize(("options", "nice"), [((), DEFAULT_NICE), (("--nice=3",), 3)])
def test_an_agent_and_all_that_it_starts(
    stub_cpr: Cpr, stub: Stub, options: tuple[str, ...], nice: int
) -> None:
    stub.fifos("held")
    held = plan(spawn=["setsid", "nohup"], here="held", gate="held")
    session = stub_cpr.launch(prompts({"id": "held", "prompt": held}), *options)
    stub.await_here("held")
    own_session, nohup = stub.calls()["held"]["children"]
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    agent = stub.calls()["held"]["pid"]
    assert os.getpriority(os.PRIO_PROCESS, runner) == 0
    for pid in (agent, nohup, own_session):
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice
        await_true(lambda pid=pid: not HAS_GROUPS or group_nice(pid) == nice)  # type: ignore[misc]
    assert not HAS_GROUPS or group_nice(runner) == 0
    stub.release("held")
    session.wait(LIMIT_S)


def test_a_check_and_a_set_up(stub_cpr: Cpr, tmp_path: Path) -> None:
    repo = Checkout.new(tmp_path / "repo")
    repo.write({"a.txt": "one\n"})
    repo.commit("first")
    says = f"until [ $(nice) = 3 ]; do :; done; nice >>{tmp_path}/said"
    session = stub_cpr.launch(
        prompts({"id": "one", "prompt": "x", "check": says, "setup": says, "worktree": True}),
        f"--cwd={repo.path}",
        "--nice=3",
    )
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"]
    assert (tmp_path / "said").read_text().split() == ["3", "3"]


def test_what_is_started_by_a_nice_runner() -> None:
    source = """if True:
        import os, subprocess
        from cpr_nb.runner.niceness import Niceness
        agent = subprocess.Popen(["cat"], start_new_session=True, stdin=0)
        Niceness(10).begin(agent.pid)
        Niceness(10).begin(0)  # would be our own group
        print(*(os.getpriority(os.PRIO_PROCESS, pid) for pid in (agent.pid, 0)))
        agent.kill()
        agent.wait()
    """
    argv = ["nice", "-n", "12", sys.executable, "-c", source]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"19 12\n"


@groups
@pytest.mark.real_cli
def test_the_shells_of_a_real_agent(real_cpr: Cpr) -> None:
    command = (
        "until grep -q 'nice 4' /proc/self/autogroup; do sleep 0.05; done; "
        "nice; cat /proc/self/autogroup; ps -o sess= -p $$"
    )
    bash = {"tool": "Bash", "input": {"command": command, "description": "nice"}}
    text = prompts(script(bash, {"text": "done"}))
    session = real_cpr.launch(text, "--nice=4", "--allow", "Bash", "--timeout-s", str(LIMIT_S))
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded"]
    pid = json.loads((session.path / "journal.jsonl").read_text().splitlines()[3])["pid"]
    said = (session.path / f"task-{session[0].id}.jsonl").read_text()
    assert "4\\n/autogroup-" in said
    assert f"nice 4\\n{pid}" not in said, "its shell is in the agent's own session"


@groups
@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's part")
def test_without_privileges_what_the_kernel_refuses_is_tried_again() -> None:
    source = """if True:
        import itertools, os, subprocess
        from cpr_nb.runner import process
        from cpr_nb.runner.niceness import Niceness
        os.setuid(65534)
        # The kernel takes one change in 0.1 s: of eight, it refuses some however slow we are.
        agents = [subprocess.Popen(["cat"], start_new_session=True, stdin=0) for _ in range(8)]
        niceness = Niceness(5)
        for agent in agents:
            niceness.begin(agent.pid)
        paths = [f"/proc/{agent.pid}/autogroup" for agent in agents]
        niceness.follow(1.0, (agent.pid for agent in agents))
        words = [process.read_file(path).split()[-1] for path in paths]
        assert words != [b"5"] * 8, words
        for now in itertools.count(2):
            niceness.follow(float(now), (agent.pid for agent in agents))
            if [process.read_file(path).split()[-1] for path in paths] == [b"5"] * 8:
                break
        for agent in agents:
            agent.kill()
            agent.wait()
        print("nice")
    """
    argv = [sys.executable, "-c", source]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"nice\n"


def await_true(is_true: Callable[[], bool]) -> None:
    """Waits for what the kernel does not announce."""
    while not is_true():
        os.sched_yield()
