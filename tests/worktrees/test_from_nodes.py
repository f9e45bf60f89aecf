"""Work on nodes that do not have the repository comes home, as if it had been done at home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testkit.carried import Node
from testkit.repository import Checkout, Runner


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


def test_commits_and_what_is_in_no_commit_come_home(
    repo: Checkout, runner: Runner, node: Node
) -> None:
    made = runner.prepare("docs")
    there = node.receive(runner, "docs")
    assert there.path.name == made.path.name
    assert there.git("status", "--porcelain") == ""
    assert there.git("branch", "--show-current") == "main-task-docs"
    assert there.git("log", "--format=%an <%ae>", "-1") == "Ada <ada@example.org>"
    there.commit("by the agent", {"c.txt": "c\n"})
    there.write({"a.txt": "changed\n", "new/deep.txt": "new\n", "x.log": "ignored\n"})
    (there.path / "sub/b.txt").unlink()
    there.send_home()
    report = runner.harvest("docs")
    assert (report["committed"], report["n_commits"], report["worktree"]) == (True, 2, None)
    assert repo.files("main-task-docs") == {
        ".gitignore": "*.log\nout/",
        "a.txt": "changed",
        "c.txt": "c",
        "new/deep.txt": "new",
    }
    assert repo.log("main..main-task-docs") == ["Left-over changes of task docs", "by the agent"]
    assert repo.branches() == ["main", "main-task-docs"]
    assert repo.git("for-each-ref", "refs/cpr") == ""
    assert not list(runner.folder.glob("*.bundle"))


def test_home_is_untouched_until_then(repo: Checkout, runner: Runner, node: Node) -> None:
    before = repo.state()
    made = runner.prepare("docs")
    there = node.receive(runner, "docs")
    there.commit("by the agent", {"c.txt": "c\n"})
    there.send_home()
    assert not (made.path / "c.txt").exists()
    runner.harvest("docs")
    assert repo.state() == before


def test_the_next_attempt_finds_it_on_another_node(
    tmp_path: Path, repo: Checkout, runner: Runner, node: Node
) -> None:
    runner.prepare("docs")
    first = node.receive(runner, "docs")
    first.commit("first attempt", {"c.txt": "c\n"})
    first.write({"half.txt": "half\n"})
    (first.path / "a.txt").unlink()
    first.send_home()
    second = Node(tmp_path / "other").receive(runner, "docs")
    assert second.log("main..HEAD") == ["first attempt"]
    assert (second.path / "half.txt").read_text() == "half\n"
    assert not (second.path / "a.txt").exists()
    second.write({"half.txt": "whole\n"})
    second.send_home()
    runner.harvest("docs")
    assert repo.files("main-task-docs")["half.txt"] == "whole"
    assert "a.txt" not in repo.files("main-task-docs")


def test_a_check_on_the_same_node_finds_what_the_set_up_and_the_agent_left(
    runner: Runner, node: Node
) -> None:
    made = runner.prepare("docs")
    setup = "echo set up >>x.log; echo made >made.txt"
    there = node.receive(runner, "docs", setup=setup)
    there.write({"c.txt": "c\n"})
    there.send_home()
    again = node.receive(runner, "docs", setup=setup)
    assert (again.path / "x.log").read_text() == "set up\n"  # ran once
    assert (again.path / "c.txt").exists()
    assert not (made.path / "x.log").exists()  # it ran on the node alone
    again.send_home()
    report = runner.harvest("docs")
    assert report["n_files_changed"] == 1  # what set-up has made is not the agent's


def test_a_set_up_that_fails_there_says_so(runner: Runner, node: Node) -> None:
    runner.prepare("docs")
    answer = node.refusable(runner, "docs", setup="echo no such tool >&2; exit 3")
    assert (answer["ok"], answer["error"]) == (
        False,
        "set-up failed (exit code 3): no such tool",
    )


def test_only_the_first_parcel_has_what_all_tasks_begin_with(
    repo: Checkout, runner: Runner, node: Node
) -> None:
    repo.commit("much", {"much.bin": os.urandom(200_000)})
    for task_id in ("a", "b"):
        runner.prepare(task_id)
    node.receive(runner, "a")
    assert node.parcel_bytes > 200_000
    there = node.receive(runner, "b")
    assert node.parcel_bytes < 50_000
    assert there.log("HEAD") == ["much", "first"]


def test_other_branches_tags_and_stashes_come_home(
    repo: Checkout, runner: Runner, node: Node
) -> None:
    repo.git("branch", "taken")
    runner.prepare("docs")
    there = node.receive(runner, "docs")
    there.git("checkout", "-q", "-b", "idea")
    idea = there.commit("an idea", {"idea.txt": "i\n"})
    there.git("tag", "v1")
    there.git("branch", "taken")
    there.git("checkout", "-q", "main-task-docs")
    there.write({"a.txt": "stashed\n"})
    there.git("stash", "-q")
    there.send_home()
    report = runner.harvest("docs")
    assert repo.git("rev-parse", "idea") == repo.git("rev-parse", "v1") == idea
    assert repo.git("rev-parse", "taken") != idea
    assert repo.git("rev-parse", "taken-task", ok=False) != idea
    stashed = repo.git("show", "main-task-docs-rescued:a.txt")
    assert stashed == "stashed"
    assert any("main-task-docs-rescued" in note for note in report["notes"])


def test_a_detached_head_and_a_merge_come_home(repo: Checkout, runner: Runner, node: Node) -> None:
    for task_id in ("detached", "merging"):
        runner.prepare(task_id)
    there = node.receive(runner, "detached")
    there.git("checkout", "-q", "--detach")
    there.commit("on no branch", {"d.txt": "d\n"})
    there.send_home()
    report = runner.harvest("detached")
    assert "its HEAD was detached" in report["notes"]
    assert repo.files("main-task-detached")["d.txt"] == "d"
    there = node.receive(runner, "merging")
    there.git("checkout", "-q", "-b", "side")
    side = there.commit("side", {"side.txt": "s\n"})
    there.git("checkout", "-q", "main-task-merging")
    there.commit("own", {"own.txt": "o\n"})
    there.git("merge", "-q", "--no-commit", "side")
    there.send_home()
    runner.harvest("merging")
    parents = repo.git("log", "-1", "--format=%P", "main-task-merging").split()
    assert parents[1] == side


def test_commits_that_no_branch_holds_come_home(repo: Checkout, runner: Runner, node: Node) -> None:
    runner.prepare("docs")
    there = node.receive(runner, "docs")
    there.git("checkout", "-q", "--detach")
    left = there.commit("left behind", {"d.txt": "d\n"})
    there.git("checkout", "-q", "main-task-docs")
    there.send_home()
    runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs-rescued") == left


def test_included_files_go_along_and_stay_out_of_the_repository(
    repo: Checkout, runner: Runner, node: Node
) -> None:
    repo.commit("include", {".worktreeinclude": "*.log\n"})
    repo.write({"key.log": "secret\n"})
    runner.prepare("docs")
    there = node.receive(runner, "docs")
    assert (there.path / "key.log").read_text() == "secret\n"
    there.send_home()
    assert runner.harvest("docs")["branch"] is None


def test_a_bundle_that_carries_nothing_of_a_task_is_refused(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"c.txt": "c\n"})
    bundle = runner.folder / "task-docs.bundle"
    repo.git("bundle", "create", "-q", str(bundle), "main")
    answer = runner.ask("harvest", "docs")
    assert (answer["ok"], answer["error"]) == (False, "the bundle does not carry a task's work")
    assert (made.path / "c.txt").exists()
    assert bundle.exists()


def test_a_helper_that_was_killed_before_the_end_brings_it_again(
    repo: Checkout, runner: Runner, node: Node
) -> None:
    runner.prepare("docs")
    there = node.receive(runner, "docs")
    there.commit("by the agent", {"c.txt": "c\n"})
    there.write({"d.txt": "d\n"})
    there.send_home()
    bundle = runner.folder / "task-docs.bundle"
    kept = bundle.read_bytes()
    runner.prepare("docs")  # brings it in
    assert not bundle.exists()
    bundle.write_bytes(kept)
    assert runner.harvest("docs")["n_commits"] == 2
    assert repo.files("main-task-docs")["d.txt"] == "d"
