"""Cleaning up after sessions: what would be lost stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner

from cpr_nb.worktrees.cleaning import CleanReport, clean
from cpr_nb.worktrees.merging import merge


def done(runner: Runner, task_id: str, files: dict[str, str], **options: bool) -> Checkout:
    """A task that has ended after it wrote these files."""
    made = runner.prepare(task_id)
    made.write(files)
    runner.harvest(task_id, **options)
    return made


def kept(told: CleanReport) -> dict[tuple[str, bool], str]:
    """Why what stays does: task, whether it is the worktree → why."""
    return {(one.task_id, one.path is not None): one.why for one in told.kept}


def test_worktrees_and_merged_branches_go_and_the_rest_is_listed(
    repo: Checkout, runner: Runner
) -> None:
    done(runner, "merged", {"a.txt": "A\n"}, keep_worktrees=True)
    merge([str(runner.folder)])
    done(runner, "unmerged", {"b.txt": "B\n"}, keep_worktrees=True)
    done(runner, "dirty", {"c.txt": "C\n"}, keep_worktrees=True).write({"c.txt": "changed\n"})
    done(runner, "idle", {})
    runner.end()
    would = clean([str(runner.folder)], dry_run=True)
    assert would.is_dry_run
    assert len(repo.worktrees()) == 4
    told = clean([str(runner.folder)])
    assert (would.removed, would.kept) == (told.removed, told.kept)
    removed = {(one.task_id, one.path is not None) for one in told.removed}
    assert removed == {("merged", True), ("merged", False), ("unmerged", True)}, "idle left none"
    assert kept(told) == {
        ("unmerged", False): "it is not merged (commits that are not in main: 1)",
        ("dirty", True): "it holds changes that are not committed",
    }
    assert repo.branches() == ["main", "main-task-dirty", "main-task-unmerged"]
    assert repo.worktrees() == [str(repo.path), f"{repo.path}-worktrees/main-task-dirty"]


def test_what_is_named_goes_in_any_case(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"c.txt": "C\n"}, keep_worktrees=True).write({"c.txt": "changed\n"})
    done(runner, "b", {"b.txt": "B\n"})
    runner.end()
    told = clean([str(runner.folder)], ["a"])
    assert (len(told.removed), told.kept) == (2, ())
    assert repo.branches() == ["main", "main-task-b"]
    assert not Path(f"{repo.path}-worktrees").exists()


def test_a_live_session_is_never_touched(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"c.txt": "C\n"}, keep_worktrees=True)
    with runner.alive():
        for tasks in (None, ["a"]):
            told = clean([str(runner.folder)], tasks)
            assert told.removed == ()
            assert "is running" in told.kept[0].why
    assert len(repo.worktrees()) == 2


@pytest.mark.parametrize("tasks", [None, ["a"]])
def test_a_session_that_can_be_resumed_is_not_touched(
    repo: Checkout, runner: Runner, tasks: list[str] | None
) -> None:
    runner.prepare("a").write({"c.txt": "half\n"})
    told = clean([str(runner.folder)], tasks)
    assert told.removed == ()
    assert "resume or cancel" in told.kept[0].why
    assert len(repo.worktrees()) == 2


def test_a_branch_that_a_live_session_continues_is_not_touched(
    repo: Checkout, runner: Runner, new_runner: Callable[[], Runner]
) -> None:
    done(runner, "a", {"c.txt": "C\n"})
    runner.end()
    again = new_runner()
    again.prepare("a", parent={**runner.parent, "task_id": "a"})
    with again.alive():
        told = clean([str(runner.folder)], ["a"])
    assert told.removed == ()
    assert f"session {again.session_id} is running" in told.kept[0].why


def test_a_branch_that_is_checked_out_stays(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"c.txt": "C\n"})
    runner.end()
    repo.git("switch", "-q", "main-task-a")
    told = clean([str(runner.folder)], ["a"], into="main")
    assert told.removed == ()
    assert "is checked out in" in told.kept[0].why


def test_a_nested_repository_keeps_its_worktree_until_it_is_named(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("a")
    Checkout.new(made.path / "nested").commit("nested", {"n.txt": "n\n"})
    runner.harvest("a")
    runner.end()
    assert kept(clean([str(runner.folder)])) == {("a", True): "a git repository of its own: nested"}
    assert (made.path / "nested/n.txt").exists()
    assert len(clean([str(runner.folder)], ["a"]).removed) == 2
    assert not made.path.exists()


def test_a_rescued_branch_stays_until_it_is_merged_or_named(repo: Checkout, runner: Runner) -> None:
    repo.commit("second", {"b.txt": "b\n"})
    made = runner.prepare("a")
    made.commit("mine", {"c.txt": "c\n"})
    made.git("checkout", "-q", "--detach", "HEAD~2")
    made.commit("another way", {"d.txt": "d\n"})
    runner.harvest("a")
    runner.end()
    merge([str(runner.folder)])
    told = clean([str(runner.folder)])
    assert [one.branch for one in told.removed] == ["main-task-a"]
    assert [one.branch for one in told.kept] == ["main-task-a-rescued"]
    clean([str(runner.folder)], ["a"])
    assert repo.branches() == ["main"]


@pytest.mark.parametrize("tasks", [None, ["a"]])
def test_a_worktree_that_git_forgot_stays_even_if_it_is_named(
    repo: Checkout, runner: Runner, tasks: list[str] | None
) -> None:
    """Only the folder itself and its record say that it was one: nobody can confirm it."""
    made = runner.prepare("a")
    made.write({"n.txt": "n\n"})
    shutil.rmtree(made.admin)
    runner.harvest("a")
    runner.end()
    told = clean([str(runner.folder)], tasks)
    assert kept(told)["a", True] == f"git no longer knows {made.path}: delete it by hand"
    assert (made.path / "n.txt").exists()


def test_a_folder_that_is_another_tasks_by_now_is_not_touched(
    repo: Checkout, runner: Runner, new_runner: Callable[[], Runner]
) -> None:
    done(runner, "a", {})
    runner.end()
    clean([str(runner.folder)])
    other = new_runner()
    made = other.prepare("a")
    told = clean([str(runner.folder)], ["a"])
    assert made.path.exists()
    assert "main-task-a" in repo.branches()
    assert told.removed == ()
    other.harvest("a")


def test_a_second_time_finds_nothing(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"c.txt": "C\n"}, keep_worktrees=True)
    merge([str(runner.folder)])
    runner.end()
    assert len(clean([str(runner.folder)]).removed) == 2
    assert clean([str(runner.folder)]) == CleanReport((), (), False)
