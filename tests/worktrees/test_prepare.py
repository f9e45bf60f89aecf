"""A task's branch and worktree before the agent starts."""

from __future__ import annotations

from pathlib import Path

from testkit.repository import Checkout, Runner


def test_a_task_gets_a_branch_and_a_worktree_beside_the_repository(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    assert made.branch == "main-task-docs"
    assert made.path == Path(f"{repo.path}-worktrees/main-task-docs")
    assert made.cwd == made.path
    assert made.base == made.head == repo.head
    assert made.git("symbolic-ref", "HEAD") == "refs/heads/main-task-docs"
    assert made.git("status", "--porcelain") == ""
    assert (made.path / "sub/b.txt").read_text() == "b\n"


def test_a_harvest_commits_what_was_left(repo: Checkout, runner: Runner) -> None:
    before = repo.state()
    made = runner.prepare("docs")
    made.commit("mine", {"a.txt": "one\n2\nthree\n"})
    made.write({"new.txt": "new\n", "x.log": "log\n"})
    told = runner.harvest("docs")
    print(told)
    assert told["branch"] == "main-task-docs"
    assert not made.path.exists()
    assert repo.state() == before
