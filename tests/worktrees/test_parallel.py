"""Many tasks at once, of several runners, in one repository."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import Checkout, Prepared, Runner, answer_of, start_helper


@pytest.mark.slow
def test_twelve_worktrees_of_two_runners_at_once(
    repo: Checkout, new_runner: Callable[[], Runner]
) -> None:
    repo.commit("many", {f"deep/{n % 7}/{n}.txt": f"{n}\n" for n in range(200)})
    repo.write({"a.txt": "the user's\n"})
    before = repo.state()
    runners = [new_runner(), new_runner()]
    orders = [
        runner.order(f"{'ab'[which]}{number}", setup="echo $CPR_PORT > port.log")
        for number in range(6)
        for which, runner in enumerate(runners)
    ]
    told = [answer_of(helper) for helper in [start_helper("prepare", o) for o in orders]]
    assert all(one["ok"] for one in told), told
    assert len({one["branch"] for one in told}) == 12
    assert len({one["worktree"] for one in told}) == 12
    assert len({one["port"] for one in told}) == 12
    assert len(repo.worktrees()) == 13
    for one in told:
        made = Prepared(one)
        assert made.git("rev-parse", "--show-toplevel") == str(made.path)
        assert made.git("status", "--porcelain") == ""
        assert (made.path / "port.log").read_text() == f"{one['port']}\n"
        made.write({"result.txt": f"of {one['branch']}\n"})
    assert repo.state() == before
    told = [answer_of(helper) for helper in [start_helper("harvest", o) for o in orders]]
    assert all(one["ok"] and one["n_files_changed"] == 1 for one in told), told
    for one in told:
        assert repo.files(one["branch"])["result.txt"] == f"of {one['branch']}"
    assert repo.worktrees() == [str(repo.path)]
    assert repo.state() == before


def test_the_worktree_is_made_by_one_at_a_time_under_a_lock(repo: Checkout, runner: Runner) -> None:
    runner.prepare("first")  # makes the lock's file
    with (repo.path / ".git/cpr/lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        helper = start_helper("prepare", runner.order("second"))
        # Until it waits for the lock: the kernel says so.
        while not waits_for_lock(helper.pid):
            assert helper.poll() is None
        assert repo.branches() == ["main", "main-task-first"]
    assert answer_of(helper)["ok"]


def waits_for_lock(pid: int) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)
