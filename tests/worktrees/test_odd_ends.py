"""What agents do to their worktrees and repositories: nothing of it loses work."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from testkit.processes import end
from testkit.repository import Checkout, Prepared, Runner


def conflicting(made: Prepared) -> None:
    """Two branches that change the same line; the worktree is on the task's."""
    made.git("switch", "-q", "-c", "theirs")
    made.commit("theirs", {"a.txt": "one\ntheirs\nthree\n"})
    made.git("switch", "-q", made.branch)
    made.commit("mine", {"a.txt": "one\nmine\nthree\n"})


def test_a_merge_in_progress_is_saved_with_its_conflicts(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    conflicting(made)
    made.git("merge", "theirs", ok=False)
    made.write({"left.txt": "left\n"})
    told = runner.harvest("docs")
    files = repo.files("main-task-docs")
    assert "<<<<<<< HEAD\nmine\n=======\ntheirs" in files["a.txt"]
    assert files["left.txt"] == "left"
    assert told["notes"] == ["a merge was in progress", "conflicts were not resolved: a.txt"]
    assert repo.git("rev-list", "--parents", "-1", "main-task-docs").count(" ") == 1
    assert told["worktree"] is None
    assert "conflicts were not resolved: a.txt." in repo.git(
        "log", "-1", "--format=%B", "main-task-docs"
    )


def test_a_merge_that_was_done_but_not_committed_becomes_one(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    conflicting(made)
    made.git("merge", "theirs", ok=False)
    made.write({"a.txt": "one\nboth\nthree\n"})
    made.git("add", "a.txt")
    runner.harvest("docs")
    parents = repo.git("rev-list", "--parents", "-1", "main-task-docs").split()[1:]
    assert repo.git("rev-parse", "theirs") in parents and len(parents) == 2
    assert repo.files("main-task-docs")["a.txt"] == "one\nboth\nthree"


def test_a_rebase_in_progress_is_saved_beside_the_branch(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    conflicting(made)
    tip = made.commit("more", {"more.txt": "more\n"})
    made.git("rebase", "theirs", ok=False)
    told = runner.harvest("docs")
    assert told["tip_commit"] == repo.git("rev-parse", "main-task-docs") == tip
    assert told["rescued_branch"] == "main-task-docs-rescued"
    assert "<<<<<<<" in repo.files("main-task-docs-rescued")["a.txt"]
    assert "a rebase was in progress" in told["notes"]
    assert told["worktree"] is None


@pytest.mark.parametrize("what", ["cherry-pick", "revert"])
def test_a_cherry_pick_or_revert_in_progress_is_saved(
    repo: Checkout, runner: Runner, what: str
) -> None:
    made = runner.prepare("docs")
    conflicting(made)
    older = made.git("rev-parse", "HEAD" if what == "revert" else "theirs")
    made.commit("once more", {"a.txt": "one\nagain\nthree\n"})
    made.git(what, older, ok=False)
    told = runner.harvest("docs")
    assert "<<<<<<<" in repo.files("main-task-docs")["a.txt"]
    assert f"a {what} was in progress" in told["notes"]
    assert told["worktree"] is None


def test_the_locks_of_a_git_that_was_killed_are_in_nobodys_way(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n"})
    for lock in (made.admin / "index.lock", made.admin / "HEAD.lock"):
        lock.write_bytes(b"half")
    ref = repo.path / ".git/refs/heads/main-task-docs.lock"
    ref.write_bytes(b"")
    os.utime(ref, (1, 1))
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["a.txt"] == "changed"
    assert "a git that was killed had left index.lock" in told["notes"]
    assert told["worktree"] is None


def test_conflicts_in_files_whose_names_are_no_utf8_are_saved(
    repo: Checkout, runner: Runner
) -> None:
    repo.commit("odd", {"\udcff.txt": "one\n"})
    made = runner.prepare("docs")
    made.git("switch", "-q", "-c", "theirs")
    made.commit("theirs", {"\udcff.txt": "theirs\n"})
    made.git("switch", "-q", made.branch)
    made.commit("mine", {"\udcff.txt": "mine\n"})
    made.git("merge", "theirs", ok=False)
    told = runner.harvest("docs")
    assert (told["n_commits"], told["worktree"]) == (2, None)
    assert "\udcff.txt" in told["notes"][1]


def test_an_index_that_is_broken_loses_nothing(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n", "new.txt": "new\n"})
    (made.admin / "index").write_bytes(b"DIRC broken")
    told = runner.harvest("docs")
    assert told["n_files_changed"] == 2
    assert told["worktree"] is None


def test_commits_on_a_detached_head_come_to_the_branch(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.git("checkout", "-q", "--detach")
    commit = made.commit("detached", {"c.txt": "c\n"})
    made.write({"left.txt": "left\n"})
    told = runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs~1") == commit
    assert repo.files("main-task-docs")["left.txt"] == "left"
    assert "its HEAD was detached" in told["notes"]
    assert (told["n_commits"], told["worktree"]) == (2, None)


def test_a_detached_head_that_went_another_way_is_saved_beside_the_branch(
    repo: Checkout, runner: Runner
) -> None:
    repo.commit("second", {"b.txt": "b\n"})
    made = runner.prepare("docs")
    tip = made.commit("mine", {"c.txt": "c\n"})
    made.git("checkout", "-q", "--detach", "HEAD~2")
    other = made.commit("another way", {"d.txt": "d\n"})
    told = runner.harvest("docs")
    assert told["tip_commit"] == tip
    assert repo.git("rev-parse", "main-task-docs-rescued") == other
    assert told["worktree"] is None
    assert runner.harvest("docs") == told


def test_looking_at_an_older_commit_changes_nothing(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    tip = made.commit("mine", {"c.txt": "c\n"})
    made.git("checkout", "-q", "--detach", "HEAD~1")
    told = runner.harvest("docs")
    assert (told["tip_commit"], told["rescued_branch"], told["n_commits"]) == (tip, None, 1)
    assert repo.branches() == ["main", "main-task-docs"]
    assert told["worktree"] is None


def test_work_on_another_branch_comes_to_the_tasks_too(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.git("switch", "-q", "-c", "fix/own-name")
    commit = made.commit("on its own branch", {"c.txt": "c\n"})
    made.write({"left.txt": "left\n"})
    told = runner.harvest("docs")
    assert "it was on another branch: fix/own-name" in told["notes"]
    assert repo.git("rev-parse", "fix/own-name") == commit
    assert repo.log("main..main-task-docs") == [
        "Left-over changes of task docs",
        "on its own branch",
    ]
    assert told["worktree"] is None


def test_work_on_another_branch_that_went_another_way_is_saved(
    repo: Checkout, runner: Runner
) -> None:
    repo.commit("second", {"b.txt": "b\n"})
    made = runner.prepare("docs")
    tip = made.commit("mine", {"c.txt": "c\n"})
    made.git("switch", "-q", "-c", "other", "main~1")
    other = made.commit("theirs", {"d.txt": "d\n"})
    made.write({"left.txt": "left\n"})
    told = runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs", "other").split() == [tip, other]
    assert told["rescued_branch"] == "main-task-docs-rescued"
    assert repo.files("main-task-docs-rescued")["left.txt"] == "left"
    assert repo.git("rev-parse", "main-task-docs-rescued~1") == other


def test_an_orphan_branch_is_saved(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.git("checkout", "-q", "--orphan", "fresh")
    made.write({"only.txt": "only\n"})
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["only.txt"] == "only"
    assert told["worktree"] is None


@pytest.mark.parametrize("how", ["delete", "rename"])
def test_a_branch_that_the_agent_removed_is_made_again(
    repo: Checkout, runner: Runner, how: str
) -> None:
    made = runner.prepare("docs")
    commit = made.commit("mine", {"c.txt": "c\n"})
    if how == "rename":
        made.git("branch", "-m", "renamed")
    else:
        made.git("checkout", "-q", "--detach")
        made.git("branch", "-q", "-D", "main-task-docs")
    made.write({"left.txt": "left\n"})
    told = runner.harvest("docs")
    assert repo.git("rev-parse", "main-task-docs~1") == commit
    assert any("was gone: made again" in note for note in told["notes"])


def test_a_folder_that_the_agent_deleted_leaves_what_was_committed_or_staged(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.commit("mine", {"c.txt": "c\n"})
    made.write({"staged.txt": "staged\n"})
    made.git("add", "staged.txt")
    shutil.rmtree(made.path)
    told = runner.harvest("docs")
    assert set(repo.files("main-task-docs")) >= {"c.txt", "staged.txt"}
    assert any("its folder was gone" in note for note in told["notes"])
    assert told["worktree"] is None
    assert repo.worktrees() == [str(repo.path)]


def test_a_worktree_that_the_agent_removed_with_git_leaves_its_commits(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    commit = made.commit("mine", {"c.txt": "c\n"})
    repo.git("worktree", "remove", "--force", str(made.path))
    told = runner.harvest("docs")
    assert (told["tip_commit"], told["n_commits"], told["worktree"]) == (commit, 1, None)


def test_a_worktree_that_git_was_made_to_forget_is_saved_and_stays(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    shutil.rmtree(made.admin)
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["new.txt"] == "new"
    assert told["worktree"] == str(made.path)
    assert "git no longer knows it" in told["kept_because"]
    assert runner.harvest("docs") == told


def test_a_link_that_was_removed_is_no_loss(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    (made.path / ".git").unlink()
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["new.txt"] == "new"
    assert told["worktree"] is None


def test_a_worktree_that_someone_locked_stays(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    repo.git("worktree", "lock", "--reason", "looking at it", str(made.path))
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["new.txt"] == "new"
    assert told["worktree"] == str(made.path)
    assert "looking at it" in told["kept_because"]


def test_folders_that_may_not_be_written_go_too(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"out/mod/x.go": "x"})
    (made.path / "out/mod").chmod(0o500)
    assert runner.harvest("docs")["worktree"] is None
    assert not made.path.exists()


def test_a_file_that_cannot_be_added_keeps_the_worktree_and_the_rest_is_saved(
    repo: Checkout, runner: Runner
) -> None:
    repo.git("config", "filter.bad.clean", "false")
    repo.git("config", "filter.bad.required", "true")
    repo.commit("filtered", {".gitattributes": "*.bad filter=bad\n"})
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n", "good.txt": "good\n", "x.bad": "work\n", "*.txt": "z\n"})
    (made.path / "sub/b.txt").unlink()
    told = runner.harvest("docs")
    files = repo.files("main-task-docs")
    assert (files["good.txt"], files["a.txt"], files["*.txt"]) == ("good", "changed", "z")
    assert "sub/b.txt" not in files
    assert told["worktree"] == str(made.path)
    assert told["kept_because"].startswith("git can't add x.bad: ")
    assert (made.path / "x.bad").read_text() == "work\n"


def test_a_disk_that_takes_nothing_more_loses_nothing(repo: Checkout, runner: Runner) -> None:
    """Stands for every failure to save: the objects can't be written."""
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    objects = repo.path / ".git/objects"
    objects.rename(objects.with_name("hidden"))
    told = runner.ask("harvest", "docs")
    assert not told["ok"]
    assert (made.path / "new.txt").read_text() == "new\n"
    objects.with_name("hidden").rename(objects)
    assert runner.harvest("docs")["n_files_changed"] == 1
    assert not made.path.exists()


def test_a_process_that_the_task_left_in_the_folder_is_no_obstacle(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    child = subprocess.Popen(["sh", "-c", "read x"], cwd=made.path, stdin=subprocess.PIPE)
    assert child.stdin is not None
    assert runner.harvest("docs")["worktree"] is None
    end(child.pid)
    child.stdin.close()
    child.wait()


def test_a_worktree_whose_record_was_removed_stays_and_is_named(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.write({"new.txt": "new\n"})
    record = runner.folder / "task-docs.worktree.json"
    record.unlink()
    answer = runner.ask("harvest", "docs")
    words = f"{record} was removed: save what you need of {made.path} yourself"
    assert (answer["ok"], answer["error"]) == (False, words)
    assert (made.path / "new.txt").read_text() == "new\n"
    assert runner.ask("harvest", "other")["ok"], "that task never had one"


@pytest.mark.parametrize("garbage", [b"", b"\0\xffgarbage\n", b"ref: nowhere\n"])
@pytest.mark.parametrize("detached", [True, False])
def test_garbage_in_the_head_of_a_worktree_is_no_obstacle(
    repo: Checkout, runner: Runner, garbage: bytes, detached: bool
) -> None:
    made = runner.prepare("docs")
    if detached:
        made.git("switch", "-q", "--detach")
    commit = made.commit("mine", {"b.txt": "committed\n"})
    made.write({"left.txt": "left\n"})
    (repo.path / ".git" / "worktrees" / "main-task-docs" / "HEAD").write_bytes(garbage)
    told = runner.harvest("docs")
    assert "its HEAD was unreadable: made again from its log" in told["notes"]
    assert repo.files("main-task-docs")["left.txt"] == "left" and told["worktree"] is None
    holders = repo.git("branch", "--contains", commit, "--format=%(refname:short)").split()
    assert holders == ["main-task-docs"], "the branch moves to what follows from it"
