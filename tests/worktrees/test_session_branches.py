"""The branches that a session leaves are listed, forecast, merged and cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr


def edits(stub_cpr: Cpr, stub: Stub, changes: dict[str, dict[str, str]]) -> cpr.Session:
    """A session whose tasks have changed these files in their worktrees."""
    stub.fifos(*changes)
    elements = [{"id": n, "prompt": plan(here=n, gate=n)} for n in changes]
    session = stub_cpr.launch(prompts(*elements), "--worktree", "-j0")
    for name, files in changes.items():
        stub.await_here(name)
        for path, text in files.items():
            Path(stub.calls()[name]["cwd"], path).write_text(text)
        stub.release(name)
    return session.wait(LIMIT_S)


@pytest.mark.slow
def test_branches_are_listed_forecast_merged_and_cleaned(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    session = edits(stub_cpr, stub, {"a": {"x.txt": "x\n"}, "b": {"y.txt": "y\n"}})
    frame = session.worktrees_df()
    assert list(frame.branch) == ["main-task-a", "main-task-b"]
    assert list(frame.ahead) == [1, 1] and not frame.merged.any() and frame.path.isna().all()
    assert len(session.conflicts_df()) == 0
    told = stub_cpr.good("merge", session.id, "--dry-run")
    assert told.count("would be merged into main") == 2 and not (work_repo.path / "x.txt").exists()
    told = stub_cpr.good("clean", session.id)
    assert told.count("kept: it is not merged") == 2
    assert stub_cpr.good("merge", session.id).count("merged into main") == 2
    assert (work_repo.path / "x.txt").read_text() == "x\n" and (work_repo.path / "y.txt").exists()
    assert session.worktrees_df().merged.all()
    assert stub_cpr.good("clean", session.id).count(": removed") == 2
    assert work_repo.branches() == ["main"]


@pytest.mark.slow
def test_merging_stops_at_a_conflict_and_says_how_to_continue(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    changes = {name: {"a.txt": f"{name}\n"} for name in ("p", "q", "r")}
    session = edits(stub_cpr, stub, {**changes, "free": {"z.txt": "z\n"}})
    frame = session.conflicts_df()
    assert {(row.branch, row.other) for row in frame.itertuples()} == {
        ("main-task-p", "main-task-q"),
        ("main-task-p", "main-task-r"),
        ("main-task-q", "main-task-r"),
    }
    assert frame.files.tolist() == [["a.txt"]] * 3
    done = stub_cpr("merge", session.id)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("✅ main-task-free") and lines[1].startswith("✅ main-task-p")
    assert "❌ main-task-q" in done.stdout and "     a.txt" in lines
    assert f"merge {session.id[:8]}" in done.stdout and "Not tried: main-task-r" in done.stdout
    assert (work_repo.path / "a.txt").read_text() == "p\n"
    assert work_repo.git("status", "--porcelain") == ""
    (command,) = [line.strip() for line in lines if line.strip().startswith("git -C")]
    assert command.endswith("merge main-task-q")


@pytest.mark.slow
def test_a_dirty_checkout_is_not_merged_into(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    session = edits(stub_cpr, stub, {"a": {"x.txt": "x\n"}})
    work_repo.write({"a.txt": "unsaved\n"})
    before = work_repo.state()
    done = stub_cpr("merge", session.id)
    assert done.returncode == 2 and "is not clean" in done.stderr
    assert done.stderr.count("\n") == 1 and work_repo.state() == before


@pytest.mark.slow
def test_only_what_succeeded_is_merged_unless_it_is_named(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("bad")
    bad = plan(here="bad", gate="bad", result={"is_error": True, "terminal_reason": "api_error"})
    session = stub_cpr.launch(prompts({"id": "bad", "prompt": bad}), "--worktree")
    stub.await_here("bad")
    Path(stub.calls()["bad"]["cwd"], "half.txt").write_text("half\n")
    stub.release("bad")
    session.wait(LIMIT_S)
    done = stub_cpr("merge", session.id)
    assert done.returncode == 2 and "no task" in done.stderr
    stub_cpr.good("merge", session.id, "--task", "bad")
    assert (work_repo.path / "half.txt").read_text() == "half\n"


@pytest.mark.slow
def test_a_session_without_worktrees_has_nothing_to_merge(
    stub_cpr: Cpr, work_repo: Checkout
) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    done = stub_cpr("merge", session.id)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert stub_cpr.good("clean", session.id) == "Nothing to clean.\n"


@pytest.mark.slow
def test_what_is_merged_is_not_recommended_to_be_merged(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    session = edits(stub_cpr, stub, {"a": {"x.txt": "x\n"}, "b": {"y.txt": "y\n"}})
    stub_cpr.good("merge", session.id, "--task", "a")
    told = stub_cpr.good("status", session.id)
    assert "  main-task-b   1 file, +1 -0" in told and "  main-task-a   1 file" not in told
    stub_cpr.good("merge", session.id)
    assert "No branch of these tasks is ready to merge." in stub_cpr.good("status", session.id)


@pytest.mark.slow
def test_all_sessions_are_cleaned_at_once(stub_cpr: Cpr, stub: Stub, work_repo: Checkout) -> None:
    for name in ("a", "b"):
        session = edits(stub_cpr, stub, {name: {f"{name}.txt": "x\n"}})
    stub_cpr.launch(prompts("no worktree")).wait(LIMIT_S)
    stub_cpr.good("merge", session.id)
    told = stub_cpr.good("clean", "--dry-run")
    assert "main-task-b: would be removed" in told and "main-task-a: kept" in told
    done = stub_cpr("clean", "--task", "a")
    assert done.returncode == 2 and "--task needs a SESSION" in done.stderr
    stub_cpr.good("clean")
    assert work_repo.branches() == ["main", "main-task-a"]
