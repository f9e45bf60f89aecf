"""Sessions on nodes without the repository and the CLI's folder: all that was done comes home."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit import far_nodes
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.far_nodes import FarNodes
from testkit.repository import Checkout

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

FLAGS = ("--executor", "agents", "--lease-s", "20", "--permissions", "all")


@pytest.fixture
def repo(work: Path) -> Checkout:
    work.rmdir()
    checkout = Checkout.new(work)
    checkout.commit("first", {"a.txt": "one\n", ".gitignore": "results/\n*.log\n"})
    return checkout


@pytest.fixture
def far(tmp_path: Path, work: Path, real_cpr: Cpr) -> Iterator[FarNodes]:
    if words := far_nodes.why_not():
        pytest.skip(words)
    nodes = FarNodes(tmp_path, work, real_cpr.env)
    yield nodes
    nodes.end()


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command}}


def task(session: cpr.Session, number: int = 0) -> dict[str, Any]:
    status = json.loads((session.path / "status.json").read_text())
    found = status["tasks"][number]
    assert isinstance(found, dict)
    return found


def journal(session: cpr.Session) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (session.path / "journal.jsonl").read_text().splitlines()]


@pytest.mark.real_cli
def test_work_in_worktrees_comes_home(repo: Checkout, real_cpr: Cpr, far: FarNodes) -> None:
    work = "git commit -qam agent --allow-empty; echo left >left.txt; cat setup.log >seen.txt"
    text = prompts({"id": "docs", "prompt": script(bash(work), {"text": "done"})})
    check = "test -e left.txt && test -e setup.log"
    flags = ("--worktree", "--setup", "echo ready >>setup.log", "--check", check)
    session = real_cpr.launch(text, *FLAGS, *flags)
    far.join(session, "far")
    session.wait(LIMIT_S)
    assert task(session)["outcome"] == "succeeded", task(session)
    assert task(session)["node"] == "far"
    assert repo.files("main-task-docs")["left.txt"] == "left"
    assert repo.files("main-task-docs")["seen.txt"] == "ready"  # it ran there, and once
    assert "agent" in repo.log("main..main-task-docs")
    assert repo.worktrees() == [str(repo.path)]
    assert not [path for path in session.path.iterdir() if path.suffix in (".home", ".bundle")]
    assert not list(session.path.glob(".parcel*"))


@pytest.mark.slow
@pytest.mark.real_cli
def test_a_follow_up_goes_on_on_another_node(
    real_cpr: Cpr, far: FarNodes, in_env: Callable[[dict[str, str]], None]
) -> None:
    text = prompts({"id": "talk", "prompt": script({"text": "first words"})})
    session = real_cpr.launch(text, *FLAGS)
    far.join(session, "one")
    session.wait(LIMIT_S)
    assert task(session)["outcome"] == "succeeded", task(session)
    (kept,) = Path(real_cpr.env["CLAUDE_CONFIG_DIR"]).glob("projects/*/*.jsonl")
    assert b"first words" in kept.read_bytes()
    in_env(real_cpr.env)
    follow = session[0].follow_up(script({"text": "second"}))
    far.join(follow, "two")
    follow.wait(LIMIT_S)
    assert task(follow)["outcome"] == "succeeded", task(follow)
    there = [
        path.read_bytes()
        for path in far.home("two").rglob("projects/*/*.jsonl")
        if path.stem == task(follow)["conversation_id"]
    ]
    assert [b"first words" in content for content in there] == [True]


@pytest.mark.slow
@pytest.mark.real_cli
def test_a_task_whose_node_stops_goes_on_elsewhere_with_its_work(
    repo: Checkout, real_cpr: Cpr, far: FarNodes, api: ScriptedApi
) -> None:
    steps = bash("echo begun >begun.txt"), bash("[ $CPR_NODE_GO ] || sleep 600"), {"text": "done"}
    text = prompts({"id": "docs", "prompt": script(*steps)})
    session = real_cpr.launch(text, *FLAGS, "--worktree")
    far.join(session, "one")
    api.wait_for(lambda record: record.seq >= 2, LIMIT_S)
    far.processes["one"].send_signal(signal.SIGTERM)
    assert far.processes["one"].wait(LIMIT_S) == 0
    far.join(session, "two", env={"CPR_NODE_GO": "1"})
    session.wait(LIMIT_S)
    assert (task(session)["outcome"], task(session)["node"]) == ("succeeded", "two")
    assert repo.files("main-task-docs")["begun.txt"] == "begun"
    intents = [line for line in journal(session) if line["event"] == "intent"]
    assert len({line["conversation_id"] for line in intents}) == 1
    assert len(intents) == 2


@pytest.mark.slow
@pytest.mark.real_cli
def test_work_that_is_lost_with_its_node_is_begun_anew(
    repo: Checkout, real_cpr: Cpr, far: FarNodes, api: ScriptedApi
) -> None:
    steps = bash("echo x >>ran.txt"), bash("[ $CPR_NODE_GO ] || sleep 600"), {"text": "done"}
    text = prompts({"id": "docs", "prompt": script(*steps)})
    session = real_cpr.launch(text, *FLAGS, "--worktree")
    far.join(session, "one")
    api.wait_for(lambda record: record.seq >= 2, LIMIT_S)
    far.processes["one"].kill()
    far.processes["one"].wait(LIMIT_S)
    far.join(session, "two", env={"CPR_NODE_GO": "1"})
    session.wait(LIMIT_S)
    assert (task(session)["outcome"], task(session)["node"]) == ("succeeded", "two")
    assert repo.files("main-task-docs")["ran.txt"] == "x"
    intents = [line for line in journal(session) if line["event"] == "intent"]
    assert len({line["conversation_id"] for line in intents}) == len(intents) == 2
    status = json.loads((session.path / "status.json").read_text())
    assert any("node one is lost" in line for line in status["warnings"])


@pytest.mark.slow
@pytest.mark.real_cli
def test_a_set_up_that_fails_there_ends_the_task_as_here(
    repo: Checkout, real_cpr: Cpr, far: FarNodes
) -> None:
    text = prompts({"id": "docs", "prompt": script({"text": "done"})})
    flags = ("--worktree", "--setup", "echo no such tool >&2; exit 3", "--attempts", "3")
    session = real_cpr.launch(text, *FLAGS, *flags)
    far.join(session, "far")
    session.wait(LIMIT_S)
    ended = task(session)
    assert (ended["outcome"], ended["reason"]) == ("failed", "setup_failed"), ended
    assert "no such tool" in ended["error"]
    assert repo.branches() == ["main"]
