"""What is done when a task has ended: saved, measured, told, removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner

_HALF = """
import signal
with open("a.txt", "r+b") as file:
    file.write(b"ONE\\nTW")
    file.flush()
    print("here", flush=True)
    signal.pause()
"""


def test_an_agent_that_never_commits_loses_nothing(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "one\n2\nthree\n", "new/deep.txt": "new\n", "raw.bin": b"\0\xff\n"})
    (made.path / "sub/b.txt").unlink()
    (made.path / "run.sh").write_text("x")
    (made.path / "run.sh").chmod(0o755)
    (made.path / "link").symlink_to("a.txt")
    told = runner.harvest("docs")
    assert told["committed"] is True
    assert (told["n_commits"], told["n_files_changed"]) == (1, 6)
    assert (told["lines_added"], told["lines_deleted"]) == (4, 2)
    assert told["tip_commit"] == repo.git("rev-parse", "main-task-docs")
    assert repo.git("ls-tree", "-r", "--name-only", "main-task-docs").split() == [
        ".gitignore",
        "a.txt",
        "link",
        "new/deep.txt",
        "raw.bin",
        "run.sh",
    ]
    assert repo.git("ls-tree", "main-task-docs", "run.sh").startswith("100755")
    assert repo.git("ls-tree", "main-task-docs", "link").startswith("120000")
    message = repo.git("log", "-1", "--format=%B", "main-task-docs")
    assert message.startswith("Left-over changes of task docs\n")
    assert f"Cpr-Session: {runner.session_id}\nCpr-Task: docs" in message
    assert (told["worktree"], told["kept_because"], told["notes"]) == (None, None, [])
    assert not made.path.exists()
    assert repo.worktrees() == [str(repo.path)]


def test_an_agent_that_commits_and_leaves_untracked_files_loses_neither(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.commit("by the agent", {"c.txt": "c\n"})
    made.write({"a.txt": "staged\n"})
    made.git("add", "a.txt")
    made.write({"a.txt": "not staged\n", "left.txt": "left\n"})
    told = runner.harvest("docs")
    assert repo.log("main..main-task-docs") == ["Left-over changes of task docs", "by the agent"]
    assert (told["n_commits"], told["n_files_changed"]) == (2, 3)
    files = repo.files("main-task-docs")
    assert (files["a.txt"], files["left.txt"]) == ("not staged", "left")


def test_an_agent_that_committed_everything_gets_no_further_commit(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    tip = made.commit("by the agent", {"c.txt": "c\n"})
    told = runner.harvest("docs")
    assert (told["tip_commit"], told["committed"], told["n_commits"]) == (tip, False, 1)


def test_an_agent_that_did_nothing_leaves_no_branch(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    told = runner.harvest("docs")
    assert (told["tip_commit"], told["patch"]) == (made.base, None)
    assert (told["branch"], repo.branches()) == (None, ["main"])
    assert not made.path.exists()


def test_an_agent_killed_in_the_middle_of_an_edit_loses_nothing(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    agent = subprocess.Popen([sys.executable, "-c", _HALF], cwd=made.path, stdout=subprocess.PIPE)
    assert agent.stdout is not None
    with agent:
        assert agent.stdout.readline() == b"here\n"
        agent.kill()
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["a.txt"] == "ONE\nTWo\nthree"
    assert told["n_commits"] == 1


def test_an_edit_of_the_same_size_right_after_a_commit_is_seen(
    repo: Checkout, runner: Runner
) -> None:
    made = runner.prepare("docs")
    made.commit("by the agent", {"c.txt": "1\n"})
    seen = (made.path / "c.txt").stat()
    made.write({"c.txt": "2\n"})
    os.utime(made.path / "c.txt", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    index = made.admin / "index"
    os.utime(index, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # both within one tick
    runner.harvest("docs")
    assert repo.files("main-task-docs")["c.txt"] == "2"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_is_set_to_ignore_changes_of_is_saved(
    repo: Checkout, runner: Runner, flag: str
) -> None:
    made = runner.prepare("docs")
    made.git("update-index", flag, "a.txt")
    made.write({"a.txt": "changed\n"})
    told = runner.harvest("docs")
    assert repo.files("main-task-docs")["a.txt"] == "changed"
    assert told["worktree"] is None


def test_the_patch_applies_to_the_base_with_names_modes_and_binary_files(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    repo.commit("more", {"moved.txt": "".join(f"{n}\n" for n in range(50)), "gone.bin": b"\0\1"})
    made = runner.prepare("docs")
    made.write({"a.txt": b"one\r\ntwo", 'ö "x"\t.txt': "new\n", "raw.bin": os.urandom(3000)})
    made.git("mv", "moved.txt", "sub/moved.txt")
    (made.path / "gone.bin").unlink()
    (made.path / "sub/b.txt").chmod(0o755)
    (made.path / "link").symlink_to("sub")
    told = runner.harvest("docs")
    assert told["n_files_changed"] == 7
    patch = runner.folder / "task-docs.patch"
    assert told["patch"] == str(patch)
    assert patch.stat().st_mode & 0o777 == 0o600
    clone = tmp_path / "clone"
    repo.git("clone", "-q", str(repo.path), str(clone))
    fresh = Checkout(clone)
    fresh.git("apply", "--index", str(patch))
    assert fresh.git("write-tree") == repo.git("rev-parse", "main-task-docs^{tree}")
    assert repo.git("ls-tree", "main-task-docs", "link").startswith("120000")


def test_the_worktree_is_kept_where_that_is_asked_for(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.commit("by the agent", {"c.txt": "c\n"})
    made.write({"a.txt": "changed\n"})
    told = runner.harvest("docs", keep_worktrees=True)
    assert (told["worktree"], told["kept_because"]) == (str(made.path), "keep_worktrees")
    assert made.git("status", "--porcelain") == ""
    assert made.git("symbolic-ref", "--short", "HEAD") == "main-task-docs"
    assert made.head == told["tip_commit"]


def test_a_second_harvest_says_the_same(repo: Checkout, runner: Runner) -> None:
    made = runner.prepare("docs")
    made.write({"a.txt": "changed\n", "x.log": "log"})
    first = runner.harvest("docs")
    refs = repo.git("for-each-ref")
    assert runner.harvest("docs") == first
    assert runner.harvest("docs", keep_worktrees=True) == first
    assert repo.git("for-each-ref") == refs


def test_a_task_without_a_worktree_has_nothing_to_harvest(repo: Checkout, runner: Runner) -> None:
    told = runner.harvest("never")
    assert (told["branch"], told["n_commits"], told["worktree"]) == (None, None, None)


def test_a_repository_that_is_gone_is_reported(repo: Checkout, runner: Runner) -> None:
    runner.prepare("docs")
    shutil.rmtree(repo.path)
    told = runner.ask("harvest", "docs")
    assert (told["ok"], told["reason"]) == (False, "worktree")
    assert "is gone" in told["error"]
