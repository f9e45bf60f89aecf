"""What version 0.1.0 left behind is read, resumed, retried and merged; see its README."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S, Cpr
from testkit.previous import RECORDED, move_home
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.model import record
from cpr_nb.model.identity import of_tasks
from cpr_nb.model.spec import check_tasks

STATES = {
    "completed": "completed",
    "failed": "completed",
    "interrupted": "interrupted",
    "mapped": "completed",
    "paused": "interrupted",
    "worktree": "completed",
}


pytestmark = pytest.mark.usefixtures("previous")


def attach(name: str, *, trust: bool = False) -> cpr.Session:
    """The recorded session of this name; it has no seal, so what acts on it needs trust once."""
    session = cpr.attach(next(id for id, row in rows().items() if row["name"] == name))
    if trust:
        assert cpr.trust(session.id, yes=True)
    return session


def rows() -> dict[str, dict[str, Any]]:
    return {row["session_id"]: row for row in cpr.sessions_df().to_dict("records")}


def outcomes(session: cpr.Session) -> dict[str, str | None]:
    return {task.id: task.outcome for task in session}


def test_they_are_listed(stub_cpr: Cpr) -> None:
    assert {row["name"]: row["state"] for row in rows().values()} == STATES
    listed = json.loads(stub_cpr.good("list", "--json"))
    assert {row["name"]: row["state"] for row in listed} == STATES
    assert {row["name"]: row["n_succeeded"] for row in listed} == {
        "completed": 2, "failed": 2, "interrupted": 1, "mapped": 1, "paused": 2, "worktree": 2,
    }  # fmt: skip


def test_their_tables_are_read() -> None:
    tasks = cpr.tasks_df()
    assert len(tasks) == 15
    assert tasks.outcome.dropna().value_counts()[["succeeded", "failed"]].tolist() == [10, 2]
    assert tasks.cost_usd.sum() == 2.5
    (call,) = cpr.tool_calls_df().to_dict("records")
    assert (call["task_id"], call["tool"]) == ("tool", "Bash")
    (denial,) = cpr.denials_df().to_dict("records")
    assert (denial["task_id"], denial["tool"]) == ("denied", "Bash")
    assert cpr.usage_df().input_tokens.sum() == 100
    assert set(cpr.events_df().session_id) == set(rows())


def test_a_mapped_frame_comes_back() -> None:
    df = attach("mapped").results_df()
    assert df.index.tolist() == ["x", "y"] and df.path.tolist() == ["a.py", "b.py"]
    assert df.when.tolist() == [pd.Timestamp("2026-01-01"), pd.NaT]
    assert df.n.tolist() == [3, pd.NA] and df.ok.tolist() == [True, False]
    assert df.outcome.tolist() == ["succeeded", "failed"]


def test_results_status_and_logs_are_shown(stub_cpr: Cpr) -> None:
    texts = {
        "completed": ["Docs written", "ü ✓"],
        "failed": ["fine", "no luck"],
        "interrupted": ["first", "so far", "[Task never started]"],
        "mapped": ["R", "exited with code 3"],
        "paused": ["first", "done", "[Task never started]"],
        "worktree": ["done", "nothing to do"],
    }
    for name, words in texts.items():
        session = attach(name)
        results = stub_cpr.good("results", session.id)
        assert [word for word in words if word not in results] == []
        assert f"Status: {STATES[name]}\n" in stub_cpr.good("status", session.id)
        assert json.loads(stub_cpr.good("status", "--json", session.id))["name"] == name
        assert stub_cpr.good("logs", session.id)
    assert attach("completed")[0].result() == "Docs written"
    with pytest.raises(cpr.TaskFailed, match="no luck"):
        attach("failed")[1].result()


def test_an_interrupted_session_is_resumed(stub: Stub, stub_cpr: Cpr) -> None:
    stub.fifos("interrupted")
    session = attach("interrupted")
    left = stub_cpr.good("resume", "--all")
    assert "resume --all: 2 foreign sessions left alone" in left and "trust" in left
    refused = stub_cpr("resume", session.id)
    assert refused.returncode == 2 and "launched by an older cpr" in refused.stderr
    assert session.state == "interrupted" and not stub.calls()
    with stub_cpr.on_terminal("resume", session.id) as terminal:
        terminal.read_until("[y/N]")
        assert not stub.calls()
        terminal.press("y\n")
        assert terminal.finish() == 0
    assert f"It would run 3 tasks: claude {stub}" in terminal.text
    assert stub.await_here("interrupted") == "held"
    stub.release("interrupted")
    session.wait(LIMIT_S)
    assert session.state == "completed"
    assert outcomes(session) == dict.fromkeys(["good", "held", "left"], "succeeded")
    assert set(stub.calls()) == {"held", "left"}, "what had ended ran again"
    assert [task.result() for task in session] == ["first", "done", "last"]


def test_a_paused_session_whose_runner_is_gone_is_resumed(stub: Stub) -> None:
    session = attach("paused")
    with pytest.raises(cpr.ForeignSession, match="older cpr"):
        session.resume()
    session.resume(trust=True).wait(LIMIT_S)
    assert outcomes(session) == dict.fromkeys(["good", "held", "left"], "succeeded")
    assert set(stub.calls()) == {"left"}, "what had ended ran again"


def test_a_failed_task_is_retried(stub: Stub, transcript: Callable[[str], Path]) -> None:
    session = attach("failed")
    with pytest.raises(cpr.ForeignSession, match="older cpr"):
        session.retry(attempts=1)
    session = attach("failed", trust=True)
    retry = session.retry(attempts=1).wait(LIMIT_S)
    assert outcomes(retry) == {"bad": "failed"} and set(stub.calls()) == {"bad"}
    assert retry.head["parent_session_id"] == session.id
    transcript(str(session[0].conversation_id))
    more = session[0].follow_up("go on").wait(LIMIT_S)
    argv = stub.calls()["good"]["argv"]
    assert argv[argv.index("--resume") + 1] == session[0].conversation_id
    assert outcomes(more) == {"good": "succeeded"}


def test_rows_of_a_mapped_frame_are_retried() -> None:
    df = attach("mapped", trust=True).results_df()
    retry = df[~df.ok].cpr.retry(attempts=1).wait(LIMIT_S)
    assert retry.results_df().path.tolist() == ["b.py"]


def test_the_same_request_has_the_same_identity_still() -> None:
    """By it a launch finds the session that did the same, so that nothing is paid for twice."""
    session = attach("completed")
    tasks = check_tasks([{"id": task.id, "prompt": task.prompt} for task in session])
    options = {"model": "opus", "cwd": "/home/user/project"}
    assert of_tasks(tasks, options) == session.head["identity"]


@pytest.fixture
def repo(work: Path) -> Checkout:
    """The project's repository, with what it keeps of its tasks' branches."""
    checkout = Checkout(work)
    bundle = str(RECORDED / "repo.bundle")
    checkout.git("init", "-q", "-b", "main")
    checkout.git("fetch", "-q", "--update-head-ok", bundle, "refs/heads/*:refs/heads/*")
    checkout.git("reset", "-q", "--hard")
    shutil.copytree(RECORDED / "branches", work / ".git" / "cpr" / "branches")
    for file in (work / ".git" / "cpr" / "branches").iterdir():
        move_home(file, work)
    return checkout


def test_their_branches_are_listed_merged_and_cleaned(repo: Checkout, stub_cpr: Cpr) -> None:
    session = attach("worktree", trust=True)
    frame = session.worktrees_df()
    assert frame.branch.tolist() == ["main-task-edit", "main-task-idle"]
    assert frame.ahead.tolist() == [1, 0]
    assert "main-task-edit" in stub_cpr.good("merge", session.id)
    assert repo.git("show", "main:b.txt") == "two"
    stub_cpr.good("clean", session.id)
    assert repo.branches() == ["main"]


def test_a_task_with_a_branch_continues_on_it(
    repo: Checkout, stub: Stub, transcript: Callable[[str], Path]
) -> None:
    session = attach("worktree", trust=True)
    transcript(str(session[0].conversation_id))
    more = session[0].follow_up(plan(write={"c.txt": "three\n"})).wait(LIMIT_S)
    assert outcomes(more) == {"edit": "succeeded"}
    assert repo.files("main-task-edit").keys() == {".gitignore", "a.txt", "b.txt", "c.txt"}


def ask_helper(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """As a runner of the version before does, which was started before the upgrade."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "cpr_nb.worktrees", kind],
        cwd="/",
        input=json.dumps(job).encode(),
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert done.stderr == b"" and done.stdout.endswith(b"}\n") and done.stdout.count(b"\n") == 1
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def recorded_lines(session: cpr.Session, event: str) -> list[dict[str, Any]]:
    lines = Path(session.paths.journal).read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


def test_a_runner_from_before_the_upgrade_gets_its_worktrees(repo: Checkout) -> None:
    session = attach("worktree")
    folder = session.path.with_name("session-5d2ab9a4-17b2-4e3c-9d39-6a5f4b1c0e11")
    folder.mkdir(mode=0o700)
    job = {
        "session_folder": str(folder),
        "session_id": folder.name.removeprefix("session-"),
        "task_id": "new",
        "cwd": str(repo.path),
        "options": {
            "worktree_dir": str(repo.path.parent / "trees"),
            "setup": "echo set-up >setup.txt",
            "keep_worktrees": True,
            "current_branch": "main",
            "base": repo.head,
        },
        "parent": None,
    }
    prepared = ask_helper("prepare", job)
    recorded = recorded_lines(session, "prepared")[0]["checkout"]
    assert prepared.keys() == recorded.keys()
    assert prepared["ok"] and prepared["branch"] == "main-task-new"
    assert Path(prepared["worktree"]) == repo.path.parent / "trees" / "main-task-new"
    (Path(prepared["cwd"]) / "c.txt").write_text("three\n")
    harvest = ask_helper("harvest", job)
    ended = recorded_lines(session, "ended")[0]
    kept = {name for name in record.HARVEST_FIELDS if name in ended}
    assert harvest["ok"] and kept <= harvest.keys()
    assert (harvest["n_files_changed"], harvest["lines_added"]) == (1, 1)
    assert Path(harvest["worktree"]) == Path(prepared["worktree"])


def test_a_runner_from_before_the_upgrade_continues_the_branch_of_a_task(repo: Checkout) -> None:
    session = attach("worktree")
    folder = session.path.with_name("session-5d2ab9a4-17b2-4e3c-9d39-6a5f4b1c0e11")
    folder.mkdir(mode=0o700)
    job = {
        "session_folder": str(folder),
        "session_id": folder.name.removeprefix("session-"),
        "task_id": "edit",
        "cwd": str(repo.path),
        "options": {},
        "parent": {"session_id": session.id, "task_id": "edit"},
    }
    prepared = ask_helper("prepare", job)
    assert prepared["branch"] == "main-task-edit"
    assert (Path(prepared["cwd"]) / "b.txt").read_text() == "two\n"
    harvest = ask_helper("harvest", job)
    assert (harvest["ok"], harvest["branch"]) == (True, "main-task-edit")


def test_a_runner_from_before_the_upgrade_is_answered_what_failed(work: Path) -> None:
    job = {"session_folder": str(work), "session_id": "1", "task_id": "a", "cwd": str(work)}
    answer = ask_helper("prepare", {**job, "options": {}, "parent": None})
    assert answer.keys() == {"ok", "reason", "error"}
    assert (answer["ok"], answer["reason"]) == (False, "worktree") and answer["error"]


PUBLIC = """
AmbiguousSession AnswerError ClaudeNotFound CprError InputError LaunchError ResultsDirError Session
SessionError SessionInterrupted SessionNotFound SessionNotUsable Task TaskCancelled TaskError
TaskFailed TaskLost TaskNotFound TaskSkipped TaskTimedOut UnknownOption WaitTimeout WorktreeError
__version__ attach dashboard denials_df events_df launch load_ipython_extension map sessions_df
tasks_df tool_calls_df unload_ipython_extension usage_df
"""
MEMBERS = {
    "cpr.Session": """
        as_completed cancel clean conflicts_df cost_chart cost_usd denials_df done events_df head id
        max_parallel merge name path pause raise_for_failures refresh results_df resume retry score
        sessions_df show state summary task tasks tasks_df timeline tool_calls_df usage_df wait
        worktrees_df
    """,
    "cpr.Task": """
        activity attempts cancel cancelled conversation_id cost_usd denials diff done error events
        events_df exception follow_up id num ok outcome prompt reason result running session state
        stream_path structured text tool_calls_df
    """,
    "pd.DataFrame({'a': []}).cpr": "cancel follow_up map merge retry",
}


def test_all_public_names_and_members_are_there() -> None:
    names = PUBLIC.split()
    lines = [f"from cpr_nb import {', '.join(names)}", "import cpr_nb as cpr, pandas as pd"]
    for owner, members in MEMBERS.items():
        lines += [f"for name in {members.split()}:", f"    assert hasattr({owner}, name), name"]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=LIMIT_S)
