"""Records `sessions/`: sessions as version 0.1.0 wrote them, with the stub in place of the CLI.

Run with the Python in which that version is installed, as a user whose home is /home/user, or as
root, who may make that folder: ``python record.py``. It replaces all that lies beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for testkit

import pandas as pd
from testkit.stub import Stub, plan

import cpr_nb as cpr

HERE = Path(__file__).resolve().parent
HOME = Path("/home/user")
PROJECT = HOME / "project"
LIMIT_S = 120.0


def git(*words: str) -> None:
    """Runs git in the project."""
    subprocess.run(["git", *words], cwd=PROJECT, check=True)


def prepare() -> Stub:
    """Makes the home, the project, which is a repository, and an environment without others."""
    PROJECT.mkdir(parents=True)
    stub = Stub(HOME / "stub")
    path = os.environ["PATH"]
    os.environ.clear()
    os.environ.update(PATH=path, HOME=str(HOME), USER="user", LANG="C.UTF-8", CPR_CLAUDE=str(stub))
    os.environ["CLAUDE_CONFIG_DIR"] = str(HOME / ".claude")
    os.chdir(PROJECT)
    (HOME / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    (PROJECT / ".gitignore").write_text("results/\n")
    (PROJECT / "a.txt").write_text("one\n")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return stub


def keep_conversations(session: cpr.Session) -> None:
    """Writes what the CLI keeps of a conversation, and the stub does not."""
    folder = HOME / ".claude" / "projects" / "-home-user-project"
    folder.mkdir(parents=True, exist_ok=True)
    for task in session:
        (folder / f"{task.conversation_id}.jsonl").write_text("{}\n")


def record_completed() -> None:
    """All tasks succeeded; one used a tool."""
    prompts = [
        {"id": "docs", "prompt": plan(say="Writing.", result={"result": "Docs written"})},
        {"id": "tool", "prompt": plan(tool=["Bash", {"command": "ls"}], result={"result": "ü ✓"})},
    ]
    cpr.launch(prompts, name="completed", model="opus").wait(LIMIT_S)


def record_failed() -> None:
    """One task of three failed after two attempts, one was refused a command."""
    denial = {"tool_name": "Bash", "tool_use_id": "t1", "tool_input": {"command": "rm -rf /"}}
    prompts = [
        {"id": "good", "prompt": plan(result={"result": "fine"})},
        {"id": "bad", "prompt": plan(stderr="no luck", result=None, exit=3)},
        {"id": "denied", "prompt": plan(result={"permission_denials": [denial]})},
    ]
    session = cpr.launch(prompts, name="failed", attempts=2)
    keep_conversations(session.wait(LIMIT_S))


def record_held(stub: Stub, name: str) -> cpr.Session:
    """One task ended, one waits at a gate, one has not started."""
    stub.fifos(name)
    prompts = [
        {"id": "good", "prompt": plan(result={"result": "first"})},
        {"id": "held", "prompt": plan(say="so far", here=name, gate=name)},
        {"id": "left", "prompt": plan(result={"result": "last"})},
    ]
    session = cpr.launch(prompts, name=name, max_parallel=1)
    stub.await_here(name)
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second task")
    return session


def kill_runner(session: cpr.Session) -> None:
    """Kills a session's runner."""
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    session.wait_until(lambda: session.state == "interrupted", LIMIT_S, "the end of the runner")


def record_interrupted(stub: Stub) -> None:
    """Its runner was killed, and so was the agent of the task that was running."""
    kill_runner(record_held(stub, "interrupted"))
    os.kill(stub.calls()["held"]["pid"], signal.SIGKILL)


def record_paused(stub: Stub) -> None:
    """It was paused, and then the machine went down."""
    session = record_held(stub, "paused")
    session.pause()
    requests = session.path / "requests"
    session.wait_until(lambda: not any(requests.iterdir()), LIMIT_S, "the pause")
    stub.release("paused")
    session.wait_until(session[1].done, LIMIT_S, "the second task")
    kill_runner(session)


def record_worktree() -> None:
    """One task with a worktree, whose work is on its branch; another that changed nothing."""
    prompts = [
        {"id": "edit", "prompt": plan(write={"b.txt": "two\n"})},
        {"id": "idle", "prompt": plan(result={"result": "nothing to do"})},
    ]
    cpr.launch(prompts, name="worktree", worktree=True).wait(LIMIT_S)
    git("bundle", "create", "-q", str(HERE / "repo.bundle"), "--all")


def record_mapped() -> None:
    """A map over a frame, with a schema and a failure."""
    good = plan(result={"result": "R", "structured_output": {"n": 3}})
    df = pd.DataFrame(
        {
            "path": ["a.py", "b.py"],
            "when": pd.to_datetime(["2026-01-01", None]),
            "do": [good, plan(result=None, exit=3)],
        },
        index=["x", "y"],
    )
    session = cpr.map("Review {path}. {do}", df, name="mapped", attempts=1, schema={"n": int})
    keep_conversations(session.wait(LIMIT_S))


def keep() -> None:
    """Copies what was recorded; of this machine nothing is named."""
    shutil.rmtree(HERE / "sessions", ignore_errors=True)
    shutil.rmtree(HERE / "branches", ignore_errors=True)
    ours = shutil.ignore_patterns(".gitignore", "requests")
    shutil.copytree(PROJECT / "results", HERE / "sessions", ignore=ours)
    shutil.copytree(PROJECT / ".git" / "cpr" / "branches", HERE / "branches")
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for file in (HERE / "sessions").rglob("*.json*"):
        text = file.read_text().replace(boot_id, "00000000-0000-4000-8000-000000000000")
        file.write_text(text.replace(f'"host":"{os.uname().nodename}"', '"host":"machine"'))


def main() -> None:
    """Records all sessions."""
    stub = prepare()
    record_completed()
    record_failed()
    record_interrupted(stub)
    record_paused(stub)
    record_worktree()
    record_mapped()
    keep()


if __name__ == "__main__":
    main()
