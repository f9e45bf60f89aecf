"""A launch with an executor, from the command to the ends of tasks; programs play other hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit import far_nodes, processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.host_place import await_truth
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.launching import node_placing

# Each "host" is this machine. What is called last is the script for the login shell there.
_SSH = """#!/bin/sh
printf '%s ' "$@" | head -c 200 >>"$HOME/calls"
while [ "$1" != -- ]; do shift; done
case "$2" in away*) echo "ssh: connect to host $2: refused" >&2; exit 255;; esac
exec sh -c "$3"
"""
_SBATCH = """#!/bin/sh
cat >"$HOME/job"
for n in 0 1; do
    SLURMD_NODENAME=n$n SLURM_ARRAY_TASK_ID=$n setsid sh "$HOME/job" >"$HOME/job-$n.log" 2>&1 &
done
echo 7
"""


def program(env: dict[str, str], name: str, text: str) -> None:
    """Puts a program on the PATH of an environment."""
    folder = Path(env["HOME"]) / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    if str(folder) not in env["PATH"]:
        env["PATH"] = f"{folder}{os.pathsep}{env['PATH']}"
    env["TMPDIR"] = str(folder.parent)


def outcomes(session: cpr.Session) -> list[str]:
    """How its tasks ended, once its node agents have left."""
    session.wait(LIMIT_S)
    await_truth("end of the node agents", lambda: not node_agents())
    return [task.outcome for task in session]


def names(session: cpr.Session) -> set[str]:
    return {node["name"] for node in session.refresh().head["nodes"]}


GATES = ("g0", "g1", "g2")


def gated() -> str:
    """Three tasks that wait until `let_on`."""
    return prompts(*[{"id": g, "prompt": plan(here=g, gate=g)} for g in GATES])


def let_on(stub: Stub) -> None:
    """Lets the three tasks go on, once all of them run."""
    for gate in GATES:
        stub.await_here(gate)
    for gate in GATES:
        stub.release(gate)


def three() -> str:
    return prompts(*[{"id": f"t{n}", "prompt": plan()} for n in range(3)])


def test_ssh_runs_tasks_on_its_hosts_and_names_one_that_is_away(stub_cpr: Cpr, stub: Stub) -> None:
    program(stub_cpr.env, "ssh", _SSH)
    stub.fifos(*GATES)
    words = ("run", "--json", "--executor", "ssh:h1,me@h2,away", "--slots", "2")
    done = stub_cpr(*words, stdin=gated())
    assert done.returncode == 0, done.stderr
    assert "away: ssh: connect to host away: refused" in done.stderr
    session = cpr.Session(json.loads(done.stdout)["path"])
    let_on(stub)  # three at once: both hosts have joined
    assert outcomes(session) == ["succeeded"] * 3
    assert names(session) == {task["node"] for task in nodes_of(session)} == {"h1", "h2"}
    spec = json.loads((session.path / "session.json").read_text())
    assert spec["executor"] == "ssh"
    processes.await_lock(session.path / "runner.lock")
    assert not (session.path / "join.json").exists()


def node_agents() -> list[int]:
    """The node agents of this test, and their twins."""
    mine = processes.survivors(os.environ[processes.TOKEN])
    return [pid for pid, line in mine.items() if "/nodes/__main__.py" in line]


def nodes_of(session: cpr.Session) -> list[dict[str, str]]:
    return [session.fields(index) for index in range(len(session))]


def test_slurm_runs_tasks_in_its_jobs(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos(*GATES)
    program(stub_cpr.env, "sbatch", _SBATCH)
    program(stub_cpr.env, "squeue", "#!/bin/sh\necho RUNNING\n")
    program(stub_cpr.env, "scancel", '#!/bin/sh\necho "$@" >"$HOME/cancelled"\n')
    words = ("--executor", "slurm:--partition=x", "--nodes", "2", "--slots", "2")
    session = stub_cpr.launch(gated(), *words)
    let_on(stub)
    assert outcomes(session) == ["succeeded"] * 3
    assert names(session) == {"n0-0", "n1-1"}
    home = Path(stub_cpr.env["HOME"])
    await_truth("scancel", (home / "cancelled").exists)
    assert f"--name=cpr-{session.id}" in (home / "cancelled").read_text()


def test_a_launch_does_not_wait_for_jobs_in_the_queue(stub_cpr: Cpr) -> None:
    program(stub_cpr.env, "sbatch", "#!/bin/sh\ncat >/dev/null; echo 7\n")
    program(stub_cpr.env, "squeue", "#!/bin/sh\necho PENDING\n")
    program(stub_cpr.env, "scancel", '#!/bin/sh\necho "$@" >"$HOME/cancelled"\n')
    done = stub_cpr("run", "--json", "--executor", "slurm", stdin=three())
    assert "1 node agent waits in the queue of slurm" in done.stderr
    session = cpr.Session(json.loads(done.stdout)["path"])
    assert session.state == "waiting"
    stub_cpr.good("cancel", session.id)
    assert outcomes(session) == ["cancelled"] * 3
    await_truth("scancel", (Path(stub_cpr.env["HOME"]) / "cancelled").exists)


REFUSED = {
    "no host answers": ("ssh:away,away2", "away: ssh: connect to host away: refused; away2: ssh"),
    "no partition": ("slurm", "sbatch has refused the node agents: invalid partition"),
    "no Slurm job lives": ("slurm:--partition=ends", "no node has reached the runner"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_launch_whose_nodes_can_not_be_placed_leaves_nothing(
    case: str, stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    program(stub_cpr.env, "ssh", _SSH)
    sbatch = 'case "$*" in *ends*) cat >/dev/null; echo 7; exit;; esac\n'
    sbatch += "echo invalid partition >&2; exit 1\n"
    program(stub_cpr.env, "sbatch", f"#!/bin/sh\n{sbatch}")
    program(stub_cpr.env, "squeue", "#!/bin/sh\n")
    executor, words = REFUSED[case]
    done = stub_cpr("run", "--executor", executor, stdin=three())
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert words in line
    assert list((stub_cpr.cwd / "results").glob("*session-*")) == []
    assert stub.calls() == {}


def test_nodes_that_can_not_dial_the_runner_are_refused_with_the_way_out(
    stub_env: dict[str, str],
    in_env: Callable[[dict[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
    work: Path,
) -> None:
    """The log of a node agent has its last words, which are fetched."""
    tail = 'case "$3" in tail*) echo nobody answers;; *) cat >/dev/null; echo /tmp/log;; esac\n'
    shift = 'while [ "$1" != -- ]; do shift; done\n'
    program(stub_env, "ssh", f"#!/bin/sh\n{shift}{tail}")
    in_env(stub_env)
    monkeypatch.setattr(node_placing, "JOIN_S", 0.2)
    monkeypatch.setattr(node_placing, "_LATE_S", 0.0)
    with pytest.raises(cpr.LaunchError) as refused:
        cpr.launch(["x"], executor="ssh:h1")
    words = str(refused.value)
    assert "no node has reached the runner" in words and "(h1: nobody answers)" in words
    assert "--address HOST:PORT" in words and "login node" in words
    assert list((work / "results").glob("*session-*")) == []


def test_a_folder_that_is_on_no_node_is_refused_at_the_launch(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    gone = f'mv {there} {there}-gone\nwhile [ "$1" != -- ]; do shift; done\nexec sh -c "$3"\n'
    program(stub_cpr.env, "ssh", f"#!/bin/sh\n{gone}")
    done = stub_cpr("run", "--executor", "ssh:h1", "--cwd", str(there), stdin=three())
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert f"cwd: there is no folder {there} on h1" in line
    assert list((stub_cpr.cwd / "results").glob("*session-*")) == []
    assert stub.calls() == {}


# A host of this name sees an empty folder in the place of the one that the command is called in.
_HIDE = 'mount -t tmpfs none "$0" && cd / && exec sh -c "$1"'
_FAR_SSH = _SSH.replace(
    "exec sh",
    f"""case "$2" in far*) exec unshare -rm sh -c '{_HIDE}' "$PWD" "$3";; esac\nexec sh""",
)


@pytest.mark.skipif(bool(far_nodes.why_not()), reason=far_nodes.why_not())
def test_tasks_go_to_the_nodes_that_have_their_folder(stub_cpr: Cpr, stub: Stub) -> None:
    program(stub_cpr.env, "ssh", _FAR_SSH)
    inside = stub_cpr.cwd / "inside"
    inside.mkdir()
    stub.fifos(*GATES)
    words = ("--executor", "ssh:far,near", "--cwd", str(inside), "--slots", "3")
    session = stub_cpr.launch(gated(), *words)
    await_truth("both nodes", lambda: names(session) == {"far", "near"})
    let_on(stub)
    assert outcomes(session) == ["succeeded"] * 3
    assert {task["node"] for task in nodes_of(session)} == {"near"}


@pytest.mark.skipif(bool(far_nodes.why_not()), reason=far_nodes.why_not())
def test_tasks_with_worktrees_need_no_folder_there(stub_cpr: Cpr) -> None:
    program(stub_cpr.env, "ssh", _FAR_SSH)
    repository = Checkout.new(stub_cpr.cwd / "shop")
    repository.commit("begin", {"a.py": "a = 1\n"})
    words = ("--executor", "ssh:far", "--cwd", str(repository.path), "--worktree")
    session = stub_cpr.launch(three(), *words)
    assert outcomes(session) == ["succeeded"] * 3


def test_agents_are_started_by_hand_and_added_while_it_runs(stub_cpr: Cpr) -> None:
    program(stub_cpr.env, "ssh", _SSH)
    done = stub_cpr("run", "--json", "--executor", "agents", stdin=three())
    session = cpr.Session(json.loads(done.stdout)["path"])
    assert f"cpr agent {session.path}/join.json" in done.stderr
    assert "a tunnel" not in done.stderr
    stub_cpr.good("nodes", "add", session.id, "ssh:h9", "--slots", "1")
    assert outcomes(session) == ["succeeded"] * 3
    assert names(session) == {"h9"}
    late = stub_cpr("nodes", "add", session.id, "ssh:h9")
    assert late.returncode == 2 and "it is completed" in late.stderr


def test_a_retry_may_run_elsewhere(stub_cpr: Cpr) -> None:
    """On nodes what ran here, and here what ran on nodes, whatever these were told."""
    program(stub_cpr.env, "ssh", _SSH)
    here = stub_cpr.launch(prompts(plan(exit=1, result=None)), "--attempts", "1")
    here.wait(60)
    on_nodes = ("--executor", "ssh:h9", "--slots", "1", "--lease-s", "30")
    there = retry_of(stub_cpr, here, *on_nodes)
    assert outcomes(there) == ["failed"]
    assert names(there) == {"h9"}
    back = retry_of(stub_cpr, there, "--executor", "local")
    assert outcomes(back) == ["failed"]
    assert "nodes" not in back.refresh().head


def retry_of(stub_cpr: Cpr, session: cpr.Session, *options: str) -> cpr.Session:
    done = stub_cpr("retry", session.id, "--json", *options)
    assert done.returncode == 0, done.stderr
    return cpr.Session(json.loads(done.stdout)["path"])


def test_a_session_of_this_machine_takes_no_nodes(stub_cpr: Cpr) -> None:
    program(stub_cpr.env, "ssh", _SSH)
    session = stub_cpr.launch(three())
    session.wait(60)
    done = stub_cpr("nodes", "add", session.id, "ssh:h9")
    assert done.returncode == 2 and "launched without 'executor'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("unseen",)], ids=["by the folder", "by the wire"])
def test_dask_places_an_agent_in_each_worker_and_is_not_needed_any_more(
    words: tuple[str, ...], stub_cpr: Cpr, stub: Stub
) -> None:
    """The kernel that has the cluster is gone while the tasks are at work."""
    stub_cpr.env["TMPDIR"] = stub_cpr.env["HOME"]
    stub.fifos(*GATES)
    tasks = [{"id": gate, "prompt": plan(here=gate, gate=gate)} for gate in GATES]
    out = run_in_kernel(stub_cpr, tasks, *words)
    session = cpr.Session(out["path"])
    assert out["again"] == out["nodes"] == 3, "adding where one is does nothing"
    let_on(stub)
    assert outcomes(session) == ["succeeded"] * 3
    host = os.uname().nodename
    assert {task["node"] for task in nodes_of(session)} == {f"{host}-{n}" for n in range(3)}
    assert [node["slots"] for node in session.refresh().head["nodes"]] == [1, 1, 1]
    again = stub_cpr("retry", session.id, "--all-tasks")
    assert again.returncode == 2 and "needs a client of Dask" in again.stderr


@pytest.mark.slow
def test_dask_does_not_send_keys_in_the_clear(stub_cpr: Cpr) -> None:
    out = run_in_kernel(stub_cpr, [{"prompt": plan()}], "elsewhere")
    assert "would send the keys to it in the clear" in out["refused"]
    assert list((stub_cpr.cwd / "results").glob("*session-*")) == []


def run_in_kernel(stub_cpr: Cpr, tasks: list[dict[str, str]], *words: str) -> dict[str, Any]:
    """Launches in a process with a LocalCluster of three worker processes, and ends it."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("dask_launch.py"), *words],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_resumed_session_places_again_what_is_gone(stub_cpr: Cpr, stub: Stub) -> None:
    program(stub_cpr.env, "ssh", _SSH)
    stub.fifos(*GATES)
    words = ("--executor", "ssh:h1", "--slots", "3", "--lease-s", "2")
    session = stub_cpr.launch(gated(), *words)
    for gate in GATES:
        stub.await_here(gate)
    runner: int = json.loads((session.path / "runner.json").read_text())["pid"]
    for pid in (runner, *node_agents()):
        processes.end(pid)
    processes.await_lock(session.path / "runner.lock")
    assert session.state == "interrupted"
    stub_cpr.good("resume", session.id)
    let_on(stub)
    assert outcomes(session) == ["succeeded"] * 3
    assert [task["attempts"] for task in nodes_of(session)] == [2, 2, 2]
    assert (Path(stub_cpr.env["HOME"]) / "calls").read_text().count(" -- h1 ") == 2
