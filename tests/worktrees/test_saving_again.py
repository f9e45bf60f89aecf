"""Work that could not be saved when its task ended is saved by resume, merge and clean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.display.session_model import SessionModel

Unsaved = Callable[..., cpr.Session]


@pytest.fixture
def repo(work: Path) -> Checkout:
    work.rmdir()
    checkout = Checkout.new(work)
    checkout.commit("one", {"a.txt": "a\n", ".gitignore": "results/\n"})
    return checkout


@pytest.fixture
def unsaved(stub_cpr: Cpr, stub: Stub, repo: Checkout) -> Unsaved:
    """Returns a session that has ended while its git directory was away; now it is back."""
    stub.fifos("s")

    def run(*more: str) -> cpr.Session:
        task = {"id": "a", "prompt": plan(here="s", gate="s", write={"new.txt": "work\n"})}
        session = stub_cpr.launch(prompts(task, *more), "--worktree", "-j1")
        stub.await_here("s")
        git, away = repo.path / ".git", repo.path / ".git-away"
        git.rename(away)
        stub.release("s")
        session.wait(LIMIT_S)
        processes.await_lock(session.path / "runner.lock")
        away.rename(git)
        return session

    return run


def assert_saved(session: cpr.Session, repo: Checkout) -> None:
    task = session.refresh()[0]
    assert (task.outcome, task.fields.get("harvest_error"), task.note) == ("succeeded", None, "")
    assert (task.fields["branch"], task.fields["n_commits"]) == ("main-task-a", 1)
    assert "n_unsaved" not in session.head and "worktree" not in task.fields
    assert repo.git("worktree", "list").count("\n") == 0


def test_resume_saves_it_and_nothing_else_changes(
    stub_cpr: Cpr, stub: Stub, repo: Checkout, unsaved: Unsaved
) -> None:
    session = unsaved()
    task, head = dict(session[0].fields), dict(session.head)
    assert ".git is gone" in task["harvest_error"] and head["n_unsaved"] == 1
    model = SessionModel(str(session.path))
    model.refresh()
    assert "resume" in model.commands()
    answer = (session.path / "task-a.txt").read_bytes()
    assert "the work of its tasks is saved" in stub_cpr.good("resume", session.id)
    assert_saved(session, repo)
    assert repo.git("show", "main-task-a:new.txt") == "work"
    assert (session.path / "task-a.patch").read_text().count("+work") == 1
    changed = {"harvest_error", "worktree", "n_files_changed", "lines_added", "lines_deleted"}
    changed |= {"n_commits", "ignored_files", "base_commit"}
    now = session[0].fields
    assert {n for n in {*task, *now} if task.get(n) != now.get(n)} <= changed
    for name in ("state", "overall_status", "ended_at", "end_time", "duration_s", "cost_usd"):
        assert session.head[name] == head[name], name
    assert (session.path / "task-a.txt").read_bytes() == answer
    assert list(stub.calls()) == ["a"], "no agent ran again"


def test_merge_saves_it_first(stub_cpr: Cpr, repo: Checkout, unsaved: Unsaved) -> None:
    session = unsaved()
    assert "not yet saved" in stub_cpr.good("merge", session.id, "--dry-run")
    assert "✅ main-task-a: merged into main" in stub_cpr.good("merge", session.id)
    assert (repo.path / "new.txt").read_text() == "work\n"
    assert_saved(session, repo)


@pytest.mark.parametrize("named", [True, False])
def test_clean_saves_it_first_and_keeps_its_branch(
    stub_cpr: Cpr, repo: Checkout, unsaved: Unsaved, named: bool
) -> None:
    session = unsaved()
    words = ["clean", session.id] if named else ["clean"]
    report = stub_cpr.good(*words, "--dry-run")
    assert f"its work is not yet saved: cpr resume {session.id[:8]} saves it" in report
    assert session.refresh()[0].fields["harvest_error"]
    assert "it is not merged" in stub_cpr.good(*words)
    assert_saved(session, repo)


def test_what_still_can_not_be_saved_is_said(
    stub_cpr: Cpr, repo: Checkout, unsaved: Unsaved
) -> None:
    session = unsaved()
    config = repo.path / ".git" / "config"
    good = config.read_bytes()
    config.write_bytes(b"[core\n garbage")
    done = stub_cpr("resume", session.id)
    assert done.returncode == 1 and "not everything could be saved" in done.stdout
    assert "bad config line 1" in session.refresh()[0].note and session[0].fields["worktree"]
    assert (session.head["n_unsaved"], session.state) == (1, "completed")
    config.write_bytes(good)
    stub_cpr.good("resume", session.id)
    assert_saved(session, repo)


def test_an_interrupted_session_saves_it_when_it_is_resumed(
    stub_cpr: Cpr, repo: Checkout, unsaved: Unsaved
) -> None:
    session = unsaved()
    status = session.path / "status.json"  # as a runner leaves it that is killed while it saves
    head = json.loads(status.read_bytes())
    status.write_text(json.dumps(head | {"overall_status": "running", "state": "running"}))
    assert session.refresh().state == "interrupted"
    stub_cpr.good("resume", session.id, "--wait")
    assert_saved(session, repo)
    assert session.state == "completed"
