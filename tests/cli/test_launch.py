"""A launch returns at once, what it started outlives whoever launched it, and keeps secrets."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, kill_group, prompts, script
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi


def the_session(work: Path) -> cpr.Session:
    (folder,) = (work / "results").glob("session-*")
    return cpr.Session(folder)


def journal(session: cpr.Session) -> list[dict[str, Any]]:
    lines = (session.path / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def most_at_once(session: cpr.Session) -> int:
    """How many tasks ran at the same time, by the journal."""
    now = most = 0
    for line in journal(session):
        now += {"intent": 1, "ended": -1}.get(line["event"], 0)
        most = max(most, now)
    return most


def test_a_launch_returns_while_its_task_still_runs(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    session = stub_cpr.launch(prompts(plan(here="task", gate="task")))
    stub.await_here("task")
    session.wait_until(session[0].running, LIMIT_S, "the task")
    assert session.state == "running" and not session.done()
    stub.release("task")
    assert session.wait(LIMIT_S)[0].text == "done"


def test_a_runner_has_left_its_launcher(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    session = stub_cpr.launch(prompts(plan(here="task", gate="task")))
    stub.await_here("task")
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    (call,) = stub.calls().values()
    own = {os.getsid(0), os.getsid(os.getppid())}
    assert os.getsid(runner) not in own and call["sid"] not in {*own, os.getsid(runner)}
    fields = Path(f"/proc/{runner}/stat").read_text().rpartition(")")[2].split()
    parent, terminal = int(fields[1]), int(fields[4])
    assert terminal == 0 and parent != os.getpid()
    stub.release("task")
    session.wait(LIMIT_S)


@pytest.mark.slow
@pytest.mark.real_cli
def test_24_tasks_outlive_the_killed_group_that_launched_them(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    steps = [{"delay_s": 0.02, "text": f"answer {number}"} for number in range(24)]
    (real_cpr.cwd / "p.json").write_text(prompts(*[script(step) for step in steps]))
    launcher = real_cpr.start(
        "p.json", "--max-parallel", "8", stdout=subprocess.PIPE, start_new_session=True
    )
    assert launcher.stdout is not None
    assert launcher.stdout.read(1)
    kill_group(launcher)
    assert launcher.returncode == -signal.SIGKILL
    session = the_session(real_cpr.cwd).wait(LIMIT_S)
    assert (session.state, len(session)) == ("completed", 24)
    assert {task.outcome for task in session} == {"succeeded"}
    assert [task.text for task in session] == [f"answer {number}" for number in range(24)]
    assert most_at_once(session) == 8
    assert len({record.conversation_id for record in api.requests if record.step == 0}) == 24


def test_a_session_survives_its_terminal(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    (stub_cpr.cwd / "p.json").write_text(prompts(plan(here="task", gate="task"), "b"))
    with stub_cpr.on_terminal("--sync", "-j1", "p.json") as terminal:
        stub.await_here("task")
        terminal.read_until("1 running")
        terminal.hang_up()
        assert terminal.process.wait(LIMIT_S) != 0
    session = the_session(stub_cpr.cwd)
    assert session.state == "running"
    stub.release("task")
    assert [task.text for task in session.wait(LIMIT_S)] == ["done", "done"]


def test_every_start_was_announced_before(stub_cpr: Cpr) -> None:
    elements = [{"id": f"t{number}", "prompt": "a"} for number in range(6)]
    session = stub_cpr.launch(prompts(*elements), "-j", "2").wait(LIMIT_S)
    events: dict[str, list[str]] = {}
    for line in journal(session):
        if line["event"] != "identity":  # comes when it can be had
            events.setdefault(line.get("task_id", "session"), []).append(line["event"])
    assert events.pop("session") == ["runner_started", "session_ended"]
    expected = ["intent", "started", "ended"]
    assert events == {element["id"]: expected for element in elements}
    assert most_at_once(session) == 2


def test_without_a_limit_all_run_at_once(stub_cpr: Cpr, stub: Stub) -> None:
    names = [f"n{number}" for number in range(12)]
    stub.fifos(*names)
    text = prompts(*[plan(here=name, gate=name) for name in names])
    session = stub_cpr.launch(text, "--max-parallel=0")
    for name in names:
        stub.await_here(name)
    for name in names:
        stub.release(name)
    assert most_at_once(session.wait(LIMIT_S)) == 12


SECRET = "hunter2-{}-swordfish"


def test_values_of_the_environment_reach_the_agent_and_no_file(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    secrets = {name: SECRET.format(name) for name in ("SESSION", "TASK", "INHERITED")}
    element = {"prompt": plan(here="task", gate="task"), "env": {"TASK": secrets["TASK"]}}
    session = stub_cpr.launch(
        prompts({"id": "one", **element}),
        "--env",
        "SESSION",
        "--verbose",
        env={name: secrets[name] for name in ("SESSION", "INHERITED")},
    )
    stub.await_here("task")
    seen = stub.calls()["one"]
    assert {name: seen["env"].get(name) for name in secrets} == secrets
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    for pid in (runner, seen["pid"]):
        assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    stub.release("task")
    session.wait(LIMIT_S)
    files = [path for path in session.path.rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert [path.name for path in files if b"hunter2" in path.read_bytes()] == []
    spec = json.loads((session.path / "session.json").read_text())
    assert (spec["env_names"], spec["tasks"][0]["env_names"]) == (["SESSION"], ["TASK"])


def test_a_tasks_own_variable_stays_its_own(stub_cpr: Cpr, stub: Stub) -> None:
    text = prompts({"id": "a", "prompt": "a", "env": {"WHO": "task"}}, {"id": "b", "prompt": "b"})
    session = stub_cpr.launch(text, "--env", "WHO=session", "--env", "EMPTY=").wait(LIMIT_S)
    calls = stub.calls()
    assert [calls[name]["env"]["WHO"] for name in ("a", "b")] == ["task", "session"]
    assert calls["a"]["env"]["EMPTY"] == ""
    assert [calls[task.id]["env"]["CPR_TASK_ID"] for task in session] == ["a", "b"]
    assert {call["env"]["CPR_SESSION_ID"] for call in calls.values()} == {session.id}


def test_what_belongs_to_a_launching_agent_is_not_passed_on(stub_cpr: Cpr, stub: Stub) -> None:
    agent = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "x", "CLAUDE_CODE_ENTRYPOINT": "cli"}
    agent |= {"CPR_TASK_ID": "outer", "CPR_SESSION_ID": "outer", "CPR_TASK_TOKEN": "outer"}
    kept = {"CLAUDE_CONFIG_DIR": "/kept", "ANTHROPIC_MODEL": "kept"}
    stub_cpr.launch(prompts("a"), env={**agent, **kept}).wait(LIMIT_S)
    (call,) = stub.calls().values()
    assert {name: call["env"].get(name) for name in kept} == kept
    assert not {"CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_ENTRYPOINT"} & {*call["env"]}
    assert "outer" not in {call["env"][name] for name in agent if name in call["env"]}


def test_only_the_owner_can_read_a_session(stub_cpr: Cpr) -> None:
    failing = plan(result=None, stderr="oops", exit=3)
    session = stub_cpr.launch(prompts("a", failing)).wait(LIMIT_S)
    processes.await_lock(session.path / "runner.lock")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in session.path.rglob("*")}
    assert {modes[path] for path in modes if path.is_dir()} <= {0o700}
    assert {modes[path] for path in modes if path.is_file()} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (session.path, session.path.parent)} == {0o700}
    assert any(path.suffix == ".err" for path in modes)


def test_a_new_results_directory_is_invisible_to_git(stub_cpr: Cpr) -> None:
    subprocess.run(["git", "init", "-q"], cwd=stub_cpr.cwd, env=stub_cpr.env, check=True)
    stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    done = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""


def test_the_commit_that_the_work_starts_from_is_recorded(stub_cpr: Cpr) -> None:
    def git(*args: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        done = subprocess.run(
            ["git", *who, *args],
            cwd=stub_cpr.cwd,
            env=stub_cpr.env,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    runner = json.loads((session.path / "runner.json").read_text())
    commit_and_tree = git("rev-parse", "HEAD", "HEAD^{tree}").split()
    assert [runner["git_commit"], runner["git_tree"]] == commit_and_tree


def test_a_dry_run_starts_and_creates_nothing(stub_cpr: Cpr, stub: Stub) -> None:
    text = prompts("say hello", {"id": "x", "prompt": "b", "model": "opus"})
    rows = json.loads(stub_cpr.good("run", "--dry-run", "--json", "--env", "A=hunter2", stdin=text))
    assert [row["prompt"] for row in rows] == ["say hello", "b"]
    assert (rows[1]["task_id"], rows[1]["model"], rows[1]["env"]) == ("x", "opus", ["A"])
    shown = stub_cpr.good("--dry-run", "--verbose", "--env", "A=hunter2", stdin=text)
    assert "Loaded 2 prompts" in shown and str(stub) in shown and "hunter2" not in shown
    assert stub.calls() == {} and not any(stub_cpr.cwd.iterdir())


def test_a_prompt_like_a_slash_command_is_warned_of(stub_cpr: Cpr) -> None:
    done = stub_cpr("run", "--json", stdin=prompts("fine", "/clear the table"))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("cpr: warning: stdin: prompts[1]: begins with '/'")
    cpr.Session(json.loads(done.stdout)["path"]).wait(LIMIT_S)
