"""Retries and follow-ups continue the branch of the task before them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from testkit.repository import Checkout, Runner, answer_of, order_of, start_helper

NewRunner = Callable[[], Runner]


def test_a_retry_continues_on_the_branch_of_its_parent(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    first = runner.prepare("docs")
    first.write({"c.txt": "c\n"})
    tip = runner.harvest("docs")["tip_commit"]
    repo.commit("the user goes on", {"later.txt": "later\n"})
    repo.git("switch", "-q", "-c", "elsewhere")
    again = new_runner()
    made = again.prepare("docs", parent={**runner.parent, "task_id": "docs"}, base="HEAD")
    assert (made.branch, made.head, made.base) == ("main-task-docs", tip, first.base)
    assert made.answer["is_continued"]
    made.write({"d.txt": "d\n"})
    told = again.harvest("docs")
    assert (told["n_files_changed"], told["n_commits"]) == (2, 2)


def test_a_follow_up_of_another_id_continues_too_and_may_be_followed(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    runner.prepare("docs").commit("one", {"c.txt": "c\n"})
    runner.harvest("docs")
    second, third = new_runner(), new_runner()
    second.prepare("more", parent={**runner.parent, "task_id": "docs"}).commit("two", {"d": "d"})
    second.harvest("more")
    for parent in ({**second.parent, "task_id": "more"}, {**runner.parent, "task_id": "docs"}):
        made = third.prepare("most", parent=parent)
        assert made.branch == "main-task-docs"
        assert made.log("main..HEAD") == ["two", "one"]


def test_a_retry_whose_branch_is_gone_begins_again_and_says_so(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    runner.prepare("docs").commit("one", {"c.txt": "c\n"})
    runner.harvest("docs")
    repo.git("branch", "-q", "-D", "main-task-docs")
    made = new_runner().prepare("docs", parent={**runner.parent, "task_id": "docs"})
    assert (made.branch, made.head) == ("main-task-docs", repo.head)
    assert "a new one is made" in made.answer["notes"][0]


def test_a_retry_continues_in_a_worktree_that_was_kept(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    first = runner.prepare("docs")
    first.write({"c.txt": "c\n", "out/result": "kept\n"})
    assert runner.harvest("docs", keep_worktrees=True)["worktree"] == str(first.path)
    first.write({"by-hand.txt": "the user's\n"})
    again = new_runner()
    made = again.prepare("docs", parent={**runner.parent, "task_id": "docs"})
    assert made.path == first.path
    assert (made.path / "out/result").read_text() == "kept\n"
    assert made.git("status", "--porcelain") == ""
    assert (made.path / "by-hand.txt").read_text() == "the user's\n"
    told = again.harvest("docs")
    assert (told["worktree"], told["n_files_changed"]) == (None, 2)


def test_a_failed_set_up_in_a_worktree_that_was_kept_loses_nothing_of_it(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    first = runner.prepare("docs")
    first.write({"c.txt": "c\n"})
    runner.harvest("docs", keep_worktrees=True)
    again = new_runner()
    parent = {**runner.parent, "task_id": "docs"}
    told = again.ask("prepare", "docs", parent=parent, setup="echo more > d.txt; exit 3")
    assert told["reason"] == "setup_failed"
    assert again.harvest("docs")["n_files_changed"] == 2
    assert repo.files("main-task-docs")["d.txt"] == "more"


def test_a_retry_saves_what_an_interrupted_session_has_left(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    first = runner.prepare("docs")
    first.write({"c.txt": "half\n"})
    again = new_runner()
    parent = {**runner.parent, "task_id": "docs"}
    with runner.alive():
        assert "is still at work" in again.refused("docs", parent=parent)
    made = again.prepare("docs", parent=parent)
    assert made.log("main..HEAD") == ["Left-over changes of task docs"]
    assert "another task continues" in runner.refused("docs")
    told = runner.harvest("docs")
    assert "another task continues in this worktree" in told["notes"]
    assert made.path.exists()


def test_a_retry_does_not_take_what_set_up_left_for_work(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    runner.prepare("docs", setup="echo x > generated.txt")
    made = new_runner().prepare("docs", parent={**runner.parent, "task_id": "docs"})
    assert made.log("main..HEAD") == []
    assert (made.path / "generated.txt").exists()


def test_a_task_that_is_prepared_again_after_its_harvest_continues(
    repo: Checkout, runner: Runner
) -> None:
    runner.prepare("docs").write({"c.txt": "c\n"})
    first = runner.harvest("docs")
    made = runner.prepare("docs")
    assert (made.branch, made.head) == ("main-task-docs", first["tip_commit"])
    made.write({"d.txt": "d\n"})
    told = runner.harvest("docs")
    assert (told["n_commits"], told["n_files_changed"], told["worktree"]) == (2, 2, None)


def test_an_old_runner_that_comes_back_leaves_the_worktree_of_the_retry_alone(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    """It was killed in the middle of a removal, and the retry got the same folder since."""
    runner.prepare("docs").commit("one", {"c.txt": "c\n"})
    runner.harvest("docs")
    file = runner.folder / "task-docs.worktree.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"stage": "removing"}))
    again = new_runner()
    made = again.prepare("docs", parent={**runner.parent, "task_id": "docs"})
    made.write({"d.txt": "d\n"})
    runner.harvest("docs")
    assert (made.path / "d.txt").read_text() == "d\n"
    assert again.harvest("docs")["n_files_changed"] == 2


def test_a_worktree_in_the_middle_of_a_rebase_is_saved_before_a_retry(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    made = runner.prepare("docs")
    made.git("switch", "-q", "-c", "theirs")
    made.commit("theirs", {"a.txt": "theirs\n"})
    made.git("switch", "-q", made.branch)
    tip = made.commit("mine", {"a.txt": "mine\n"})
    made.git("rebase", "theirs", ok=False)
    again = new_runner().prepare("docs", parent={**runner.parent, "task_id": "docs"})
    assert again.head == tip
    assert again.git("status", "--porcelain") == ""
    assert "<<<<<<<" in repo.files("main-task-docs-rescued")["a.txt"]


def test_a_branch_that_the_user_has_checked_out_is_not_worked_on(
    repo: Checkout, runner: Runner, new_runner: NewRunner
) -> None:
    runner.prepare("docs").commit("one", {"c.txt": "c\n"})
    runner.harvest("docs")
    repo.git("switch", "-q", "main-task-docs")
    told = new_runner().refused("docs", parent={**runner.parent, "task_id": "docs"})
    assert f"is checked out in {repo.path}" in told


def test_a_retry_of_a_task_that_never_had_a_branch_makes_one(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    order = order_of(runner.folder, "docs", repo.path, parent={"session_id": "x", "task_id": "y"})
    told = answer_of(start_helper("prepare", order))
    assert (told["ok"], told["branch"]) == (True, "main-task-docs")
