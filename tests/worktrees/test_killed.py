"""A helper that is killed anywhere, and asked again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from testkit.repository import Checkout, Runner, start_helper

pytestmark = pytest.mark.slow

_GIT = """#!/bin/sh
# Counts the calls; kills who calls before or after the one that was chosen.
count=$(($(cat "{folder}/count") + 1))
echo $count > "{folder}/count"
if [ $count = {number} ] && [ {moment} = before ]; then kill -9 $PPID; exit 1; fi
"{git}" "$@"
status=$?
if [ $count = {number} ] && [ {moment} = after ]; then kill -9 $PPID; fi
exit $status
"""


class Killer:
    """Kills a helper at one of its calls of git."""

    def __init__(self, folder: Path, git: str) -> None:
        self.folder, self.git = folder, git
        folder.mkdir()

    def run(self, command: str, runner: Runner, task_id: str, number: int, moment: str) -> bool:
        """Runs the helper; returns whether it came that far."""
        (self.folder / "count").write_text("0")
        git = self.folder / "git"
        git.write_text(_GIT.format(folder=self.folder, git=self.git, number=number, moment=moment))
        git.chmod(0o755)
        env = {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        options = {"setup": "echo gen > gen.txt; echo x > x.log"}
        helper = start_helper(command, runner.order(task_id, **options), env)
        helper.communicate()
        assert helper.returncode in (0, -signal.SIGKILL)
        return helper.returncode != 0


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    git = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, check=True, text=True)
    return Killer(tmp_path / "killer", git.stdout.strip())


SETUP = "echo gen > gen.txt; echo x > x.log"


def work(runner: Runner, repo: Checkout, task_id: str) -> None:
    """Prepares a task for good and does what its agent does; checks both."""
    made = runner.prepare(task_id, setup=SETUP)
    assert made.git("rev-parse", "--show-toplevel") == str(made.path)
    assert made.git("symbolic-ref", "--short", "HEAD") == made.branch == f"main-task-{task_id}"
    assert made.base == repo.head
    assert made.git("status", "--porcelain") == "?? gen.txt"
    assert (made.path / "a.txt").read_text() == "one\ntwo\nthree\n"
    made.commit("by the agent", {"c.txt": "c\n"})
    made.write({"a.txt": "changed\n", "left/d.txt": "d\n", "y.log": "y"})
    (made.path / "sub/b.txt").unlink()


def finish(runner: Runner, repo: Checkout, task_id: str) -> None:
    """Harvests a task for good and checks what came of it."""
    told = runner.harvest(task_id, setup=SETUP)
    branch = f"main-task-{task_id}"
    files = repo.files(branch)
    assert set(files) == {".gitignore", "a.txt", "c.txt", "gen.txt", "left/d.txt"}
    assert files["a.txt"] == "changed"
    assert repo.log(f"main..{branch}") == [f"Left-over changes of task {task_id}", "by the agent"]
    assert (told["branch"], told["n_commits"], told["n_files_changed"]) == (branch, 2, 5)
    assert (told["committed"], told["ignored_files"]) == (True, ["y.log"])
    assert (told["worktree"], told["kept_because"], told["notes"]) == (None, None, [])
    assert told["patch"] and Path(told["patch"]).stat().st_size
    assert repo.worktrees() == [str(repo.path)]
    assert not Path(f"{repo.path}-worktrees").exists()


def left_in_git_directory(repo: Checkout) -> list[str]:
    """Files of ours and locks that nobody needs any more."""
    git_dir = repo.path / ".git"
    ours = [p for p in (git_dir / "cpr").iterdir() if p.name not in ("lock", "branches")]
    return [str(p) for p in [*ours, *git_dir.rglob("*.lock"), *git_dir.glob("worktrees/*")]]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("command", ["prepare", "harvest"])
def test_a_helper_killed_at_any_call_of_git_does_it_when_asked_again(
    repo: Checkout, runner: Runner, killer: Killer, command: str, moment: str
) -> None:
    before = repo.state()
    number = 0
    killed = True
    while killed:
        number += 1
        task_id = f"t{number}"
        if command == "prepare":
            killed = killer.run("prepare", runner, task_id, number, moment)
            work(runner, repo, task_id)
        else:
            work(runner, repo, task_id)
            killed = killer.run("harvest", runner, task_id, number, moment)
        finish(runner, repo, task_id)
    assert number > 10
    assert repo.state() == before
    assert left_in_git_directory(repo) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("command", ["prepare", "harvest"])
def test_a_helper_killed_at_any_time_with_its_git_does_it_when_asked_again(
    repo: Checkout, runner: Runner, command: str, seed: int
) -> None:
    """Here the time is random, and git is killed in the middle of what it does."""
    rng = random.Random(f"{command}{seed}")
    many = {f"deep/{number % 7}/{number}.txt": f"{number}\n" for number in range(300)}
    repo.commit("many", many)
    if command == "harvest":
        work(runner, repo, "a")
    for _ in range(rng.randrange(1, 4)):
        helper = start_helper(command, runner.order("a", setup=SETUP))
        with_limit = rng.uniform(0.08, 0.6)
        try:
            helper.communicate(timeout=with_limit)
        except subprocess.TimeoutExpired:
            os.killpg(helper.pid, signal.SIGKILL)
            helper.communicate()
    if command == "prepare":
        work(runner, repo, "a")
    told = runner.harvest("a")
    assert (told["n_commits"], told["n_files_changed"]) == (2, 5)
    assert repo.files("main-task-a")["left/d.txt"] == "d"
    assert set(repo.files("main-task-a")) >= set(many)
    assert told["worktree"] is None
    assert left_in_git_directory(repo) == []
    assert runner.harvest("a") == told


def test_a_setup_that_was_killed_with_its_helper_runs_again(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "here")
    os.mkfifo(tmp_path / "never")
    block = f"touch half; echo here > {tmp_path}/here; read x < {tmp_path}/never"
    helper = start_helper("prepare", runner.order("a", setup=block))
    assert (tmp_path / "here").read_text() == "here\n"
    os.killpg(helper.pid, signal.SIGKILL)
    helper.communicate()
    made = runner.prepare("a", setup="test -e half && touch whole")
    assert (made.path / "whole").exists()


def test_a_setup_that_took_too_long_leaves_nothing_once_harvested(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "here")
    os.mkfifo(tmp_path / "never")
    block = f"touch half; echo here > {tmp_path}/here; read x < {tmp_path}/never"
    helper = start_helper("prepare", runner.order("a", setup=block))
    assert (tmp_path / "here").read_text() == "here\n"
    os.killpg(helper.pid, signal.SIGKILL)
    helper.communicate()
    assert runner.harvest("a")["branch"] is None
    assert (repo.worktrees(), repo.branches()) == ([str(repo.path)], ["main"])
    assert left_in_git_directory(repo) == []
