"""The same ids again: a prompts file with ids is run twice with worktrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout, Prepared, Runner
from testkit.stub import Stub, plan

import cpr_nb as cpr

CHANGES = {"write": {"new.txt": "new\n"}}


def asked(*ids: str, **what: object) -> str:
    """A prompts file with tasks whose ids are always the same."""
    return prompts(*({"id": task_id, "prompt": plan(**what)} for task_id in ids))


def n_sessions(work_repo: Checkout) -> int:
    return len(list((work_repo.path / "results").glob("session-*")))


def test_tasks_that_changed_nothing_leave_no_branch_and_run_again(
    stub_cpr: Cpr, work_repo: Checkout
) -> None:
    for what in ({}, {"result": {"is_error": True}}, CHANGES):
        session = stub_cpr.launch(asked("a", "b", **what), "--worktree").wait(LIMIT_S)
        assert [task.reason for task in session] != ["worktree"] * 2, session[0].error
        if what is not CHANGES:
            assert (work_repo.branches(), len(work_repo.worktrees())) == (["main"], 1)
            assert session[0].fields.get("branch") is None and session.warnings == []
            assert "Nothing to clean." in stub_cpr.good("clean", session.id)
    assert work_repo.branches() == ["main", "main-task-a", "main-task-b"]


def test_what_is_left_of_the_first_run_is_known_at_the_launch(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    first = stub_cpr.launch(asked("a", "b", **CHANGES), "--worktree").wait(LIMIT_S)
    calls = stub.calls()
    for words in ([], ["--dry-run"], ["--wait"]):
        done = stub_cpr("run", "--worktree", *words, stdin=asked("new", "b", "a"))
        assert (done.returncode, done.stdout) == (2, ""), words
        (line,) = done.stderr.splitlines()
        assert "already main-task-b (task b), main-task-a (task a)" in line
        assert f"cpr merge {first.id[:8]}" in line and "other ids" in line
    assert stub.calls() == calls and n_sessions(work_repo) == 1
    stub_cpr.good("run", "--wait", "--worktree", stdin=asked("new"))
    stub_cpr.good("merge", first.id)
    stub_cpr.good("clean", first.id)
    second = stub_cpr.launch(asked("a", "b"), "--worktree").wait(LIMIT_S)
    assert [task.ok for task in second] == [True, True]


def test_a_branch_of_the_user_is_known_at_the_launch_too(
    stub_cpr: Cpr, work_repo: Checkout
) -> None:
    work_repo.git("branch", "main-task-b")
    work_repo.git("pack-refs", "--all")
    done = stub_cpr("run", "--worktree", stdin=asked("a", "b"))
    assert (
        done.returncode == 2 and "there is already main-task-b (task b): delete it" in done.stderr
    )
    assert n_sessions(work_repo) == 0


def test_a_retry_goes_on_with_its_branch_and_an_attached_launch_needs_none(
    stub_cpr: Cpr, work_repo: Checkout, in_env: Callable[[dict[str, str]], None]
) -> None:
    failing = {**CHANGES, "result": {"is_error": True}}
    first = stub_cpr.launch(asked("a", **failing), "--worktree").wait(LIMIT_S)
    again = json.loads(
        stub_cpr.good("run", "--reuse", "--json", "--worktree", stdin=asked("a", **failing))
    )
    assert again["session_id"] == first.id
    in_env(stub_cpr.env)
    tasks = json.loads(asked("a", **failing))["prompts"]
    assert cpr.launch(tasks, worktree=True, reuse=True, dry_run=True)
    with pytest.raises(cpr.InputError, match="already main-task-a"):
        cpr.launch(tasks, worktree=True, dry_run=True)
    retried = json.loads(stub_cpr("retry", "--json", "--wait", first.id).stdout)
    assert cpr.Session(retried["path"])[0].fields["branch"] == "main-task-a"


def commits_and_takes_it_back(made: Prepared) -> None:
    made.commit("gone", {"x.txt": "x"})
    made.git("reset", "-q", "--hard", "HEAD~1")


def leaves_what_must_be_rescued(made: Prepared) -> None:
    made.git("checkout", "-q", "--orphan", "fresh")
    made.commit("fresh")
    made.git("checkout", "-q", "--detach")
    made.git("branch", "-q", "-D", "fresh")


@pytest.mark.parametrize("work", [commits_and_takes_it_back, leaves_what_must_be_rescued])
def test_a_branch_stays_where_something_hangs_on_it(
    repo: Checkout, runner: Runner, work: Callable[[Prepared], None]
) -> None:
    made = runner.prepare("docs")
    work(made)
    told = runner.harvest("docs")
    assert told["branch"] == "main-task-docs" and "main-task-docs" in repo.branches()


def test_a_harvest_that_is_made_again_says_the_same(repo: Checkout, runner: Runner) -> None:
    runner.prepare("docs")
    record = runner.folder / "task-docs.worktree.json"
    told = runner.harvest("docs")
    assert told["branch"] is None and repo.branches() == ["main"]
    fields = json.loads(record.read_text())
    record.write_text(json.dumps({**fields, "stage": "removing"}))  # killed before the last write
    assert runner.harvest("docs") == told


def test_an_empty_branch_that_is_checked_out_or_kept_stays(
    repo: Checkout, runner: Runner, tmp_path: Path
) -> None:
    runner.prepare("docs")
    assert runner.harvest("docs", keep_worktrees=True)["branch"] == "main-task-docs"
    made = runner.prepare("more")
    made.git("checkout", "-q", "--detach")
    repo.git("worktree", "add", "-q", str(tmp_path / "mine"), "main-task-more")
    assert runner.harvest("more")["branch"] == "main-task-more"
    assert repo.branches() == ["main", "main-task-docs", "main-task-more"]
