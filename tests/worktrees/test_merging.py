"""Merging branches of tasks, one at a time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.merging import merge


def done(runner: Runner, task_id: str, files: dict[str, str]) -> str:
    """A task that has ended after it wrote these files; returns its branch."""
    made = runner.prepare(task_id)
    made.write(files)
    runner.harvest(task_id)
    return made.branch


def test_branches_are_merged_and_the_checkout_goes_along(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "one\nA\nthree\n"})
    done(runner, "b", {"sub/b.txt": "B\n"})
    done(runner, "idle", {})
    repo.commit("by the user", {"later.txt": "later\n"})
    repo.write({"own.txt": "untracked\n"})
    before = repo.head
    told = merge([str(runner.folder)])
    assert [one.branch for one in told.merged] == ["main-task-a", "main-task-b"]
    assert [(one.branch, one.why) for one in told.skipped] == [
        ("main-task-idle", "it changes nothing")
    ]
    assert (told.into, told.before, told.after) == ("main", before, repo.head)
    assert (told.stopped, told.left) == (None, ())
    assert (repo.path / "a.txt").read_text() == "one\nA\nthree\n"
    assert (repo.path / "sub/b.txt").read_text() == "B\n"
    assert repo.git("status", "--porcelain") == "?? own.txt"
    assert repo.git("log", "--first-parent", "--format=%s", "-2").splitlines() == [
        "Merge main-task-b",
        "Merge main-task-a",
    ]
    assert repo.worktrees() == [str(repo.path)]
    again = merge([str(runner.folder)])
    assert (again.merged, again.before, again.after) == ((), repo.head, repo.head)
    assert {one.why for one in again.skipped} == {"it is already merged", "it changes nothing"}


def test_a_repository_without_gitmodules_is_merged_on_request_only(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("link")
    for name in ("vendor/x", "known"):
        Checkout.new(made.path / name).commit("nested", {"n.txt": "n\n"})
    made.write({".gitmodules": '[submodule "k"]\n\tpath = known\n\turl = ../known\n'})
    made.commit("with repositories")
    note = "vendor/x is saved as the id of a commit only"
    (told,) = runner.harvest("link")["notes"]
    assert told.startswith(note)
    done(runner, "b", {"sub/b.txt": "B\n"})
    report = merge([str(runner.folder)])
    assert [one.branch for one in report.merged] == ["main-task-b"]
    assert [(one.branch, one.is_refused) for one in report.skipped] == [("main-task-link", True)]
    assert "it adds vendor/x, a repository that is not in .gitmodules" in report.skipped[0].why
    assert not (repo.path / "vendor").exists()
    report = merge([str(runner.folder)], with_nested=True)
    assert [one.branch for one in report.merged] == ["main-task-link"]
    assert (repo.path / "vendor/x").is_dir()
    changed = runner.prepare("again", current_branch="main")
    assert runner.harvest("again")["notes"] == changed.answer["notes"], "it is no news any more"


def test_merging_stops_at_a_conflict_and_leaves_what_was_complete(
    repo: Checkout, runner: Runner
) -> None:
    for task_id in ("a", "b", "c"):
        done(runner, task_id, {"a.txt": f"{task_id}\n", f"{task_id}.txt": "new\n"})
    told = merge([str(runner.folder)], ["b", "a", "c"], order="task")
    assert [one.branch for one in told.merged] == ["main-task-b"]
    assert told.stopped is not None
    assert (told.stopped.branch, told.stopped.files) == ("main-task-a", ("a.txt",))
    assert told.stopped.command == f"git -C {repo.path} merge main-task-a"
    assert told.left == ("main-task-c",)
    assert told.after == repo.head
    assert (repo.path / "a.txt").read_text() == "b\n"
    assert repo.git("status", "--porcelain") == ""
    assert repo.worktrees() == [str(repo.path)]
    # Run the command, and then it continues.
    subprocess.run(told.stopped.command, shell=True, capture_output=True)
    repo.write({"a.txt": "a and b\n"})
    with pytest.raises(WorktreeError, match="a merge is in progress"):
        merge([str(runner.folder)])
    repo.commit("by hand")
    told = merge([str(runner.folder)], ["a"])
    assert [one.why for one in told.skipped] == ["it is already merged"]


@pytest.mark.slow
def test_the_branch_with_the_fewest_conflicts_comes_first(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "A\n", "sub/b.txt": "A\n"})
    done(runner, "b", {"a.txt": "B\n"})
    done(runner, "c", {"sub/b.txt": "C\n"})
    done(runner, "d", {"d.txt": "D\n"})
    told = merge([str(runner.folder)])
    assert [one.branch[-1] for one in told.merged] == ["d", "b", "c"]
    assert told.stopped is not None and told.stopped.branch == "main-task-a"


def test_a_dry_run_moves_nothing(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    done(runner, "b", {"a.txt": "B\n"})
    before = repo.state(), repo.git("for-each-ref")
    told = merge([str(runner.folder)], dry_run=True)
    assert (told.is_dry_run, len(told.merged), told.before) == (True, 1, told.after)
    assert told.stopped is not None and told.stopped.files == ("a.txt",)
    assert (repo.state(), repo.git("for-each-ref")) == before
    assert repo.worktrees() == [str(repo.path)]


@pytest.mark.parametrize("staged", [True, False])
def test_a_checkout_with_changes_is_refused(repo: Checkout, runner: Runner, staged: bool) -> None:
    done(runner, "a", {"sub/b.txt": "A\n"})
    repo.write({"a.txt": "the user's\n"})
    if staged:
        repo.git("add", "a.txt")
    before = repo.state()
    with pytest.raises(WorktreeError, match="is not clean: 1 change is not committed"):
        merge([str(runner.folder)])
    assert repo.state() == before


def test_a_file_in_the_way_leaves_everything_untouched(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"new.txt": "A\n"})
    repo.write({"new.txt": "the user's\n"})
    before = repo.state()
    told = merge([str(runner.folder)])
    assert (told.merged, told.before) == ((), told.after)
    assert told.stopped is not None
    assert "new.txt" in told.stopped.why or "untracked" in told.stopped.why
    assert repo.state() == before


def test_another_target_that_is_nowhere_checked_out_moves_alone(
    repo: Checkout, runner: Runner
) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    repo.git("branch", "release")
    repo.write({"a.txt": "the user is at work\n"})
    before = repo.state()
    told = merge([str(runner.folder)], into="release")
    assert told.after == repo.git("rev-parse", "release") != told.before
    assert repo.state() == before


def test_another_target_in_a_worktree_of_the_users_goes_along_with_it(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    repo.git("worktree", "add", "-q", "-b", "release", str(tmp_path / "release"))
    before = repo.state()
    merge([str(runner.folder)], into="release")
    assert (tmp_path / "release/a.txt").read_text() == "A\n"
    assert Checkout(tmp_path / "release").git("status", "--porcelain") == ""
    assert repo.state() == before


def test_a_detached_main_checkout_needs_a_target(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    repo.git("checkout", "-q", "--detach")
    with pytest.raises(WorktreeError, match="on no branch"):
        merge([str(runner.folder)])


def test_what_has_not_ended_is_not_merged(repo: Checkout, runner: Runner) -> None:
    runner.prepare("a").commit("half", {"a.txt": "A\n"})
    done(runner, "b", {"sub/b.txt": "B\n"})
    with runner.alive():
        told = merge([str(runner.folder)])
    assert [one.branch for one in told.merged] == ["main-task-b"]
    assert "has not ended" in told.skipped[0].why


def test_no_hook_runs_and_nothing_is_signed(repo: Checkout, runner: Runner, tmp_path: Path) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    mark = tmp_path / "executed"
    for name in ("pre-merge-commit", "commit-msg", "post-merge", "post-checkout"):
        hook = repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}; exit 1\n")
        hook.chmod(0o755)
    for name, value in (
        ("commit.gpgSign", "true"),
        ("gpg.program", "/bin/false"),
        ("merge.ff", "only"),
        ("commit.cleanup", "scissors"),
        ("diff.orderFile", "/nowhere"),
        ("branch.main.mergeOptions", "--squash"),
    ):
        repo.git("config", name, value)
    told = merge([str(runner.folder)])
    assert (len(told.merged), told.stopped) == (1, None)
    assert not mark.exists()
    assert repo.git("log", "-1", "--format=%P").count(" ") == 1


def test_one_merge_at_a_time(repo: Checkout, runner: Runner) -> None:
    done(runner, "a", {"a.txt": "A\n"})
    with (
        repository_lock(str(repo.path / ".git"), "merge.lock"),
        pytest.raises(WorktreeError, match="another merge is under way"),
    ):
        merge([str(runner.folder)])


def test_a_merge_that_was_killed_is_done_again(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    """It is killed within git, by a filter that runs when the merge writes a file."""
    repo.git("config", "filter.kill.smudge", f"cat; read x < {tmp_path}/fifo")
    repo.commit("filtered", {".gitattributes": "*.kill filter=kill\n"})
    made = runner.prepare("a")
    made.write({"a.txt": "A\n", "x.kill": "x\n"})
    runner.harvest("a")
    os.mkfifo(tmp_path / "fifo")
    before = repo.state()
    code = "import sys; from cpr_nb.worktrees.merging import merge; merge(sys.argv[1:])"
    helper = subprocess.Popen(
        [sys.executable, "-c", code, str(runner.folder)], start_new_session=True
    )
    with (tmp_path / "fifo").open("w"):  # returns when the filter reads
        os.killpg(helper.pid, signal.SIGKILL)
        helper.wait()
    assert repo.state()["files"] == before["files"]
    assert repo.head == before["commit"]
    repo.git("config", "--remove-section", "filter.kill")
    assert len(merge([str(runner.folder)]).merged) == 1
    assert repo.worktrees() == [str(repo.path)]
    assert not Path(f"{repo.path}-worktrees").exists()


def test_an_order_that_does_not_exist_is_an_error(repo: Checkout, runner: Runner) -> None:
    with pytest.raises(WorktreeError, match="order must be one of"):
        merge([str(runner.folder)], order="random")
    shutil.rmtree(runner.folder)
    with pytest.raises(WorktreeError, match="no branch of a task"):
        merge([str(runner.folder)])
