"""The best of three, with the real CLI: the winners are merged, the losers stay as patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from testkit.command import LIMIT_S, script
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.offline.scripted_api import RequestRecord, ScriptedApi

EnterEnv = Callable[[dict[str, str]], None]


def write(text: str) -> dict[str, Any]:
    return {"tool": "Write", "input": {"file_path": "{cwd}/out.txt", "content": text}}


def is_main(record: RequestRecord) -> bool:
    return record.path.endswith("/v1/messages") and record.step >= 0


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_best_of_three_is_merged(
    in_env: EnterEnv, offline_env: dict[str, str], work_repo: Checkout, api: ScriptedApi
) -> None:
    in_env(offline_env)
    bad = script(write("bad\n"), {"text": "I think so."})
    good = script(write("good\n"), {"text": "done", "wait": "good"})
    slow = script(write("better?\n"), {"text": "done", "wait": "for ever"})
    session = cpr.map(
        "Write {name}. {do}",
        pd.DataFrame({"name": ["out"]}),
        id_col="name",
        vary={"do": [bad, good, slow]},
        best_of=3,
        check="grep -q good out.txt",
        worktree=True,
        max_parallel=3,
    )
    session.wait_until(session[0].done, LIMIT_S, "the bad one")
    for task in list(session.refresh())[1:]:  # both have written, and wait for their next answer
        conversation = task.fields["conversation_id"]
        api.wait_for(lambda r, c=conversation: (r.conversation_id, r.step) == (c, 1), LIMIT_S)
    api.release("good")
    session.wait(LIMIT_S)

    ends = [(task.outcome, task.reason) for task in session]
    assert ends == [
        ("failed", "check_failed"),
        ("succeeded", "completed"),
        ("cancelled", "not_needed"),
    ]
    best = session.best_df()
    assert best[["name", "solved", "candidate", "task_id"]].to_numpy().tolist() == [
        ["out", True, 2, "out-2"]
    ]
    assert session.merge(dry_run=True).merged[0].task_id == "out-2", "the winner by default"
    report = best.query("solved").cpr.merge()
    assert [one.task_id for one in report.merged] == ["out-2"] and report.stopped is None
    assert work_repo.files("main")["out.txt"] == "good"
    assert work_repo.branches() == ["main", "main-task-out-2"]
    assert "+bad" in (session.path / "task-out-1.patch").read_text()
    assert "+better?" in (session.path / "task-out-3.patch").read_text()
    assert work_repo.worktrees() == [str(work_repo.path)]
    # By the API's own log, nothing was asked for twice.
    steps = Counter((r.conversation_id, r.step) for r in api.requests if is_main(r))
    assert len({conversation for conversation, _ in steps}) == 3
    assert set(steps.values()) == {1}


@pytest.mark.slow
def test_a_loser_whose_branch_holds_more_than_its_patch_stays(
    in_env: EnterEnv,
    stub_env: dict[str, str],
    work_repo: Checkout,
    capsys: pytest.CaptureFixture[str],
) -> None:
    in_env(stub_env)
    session = cpr.map(
        "{do}",
        pd.DataFrame({"id": ["a", "b"], "do": [plan(write={f"{row}.txt": row}) for row in "ab"]}),
        id_col="id",
        best_of=3,
        at_once=1,
        check="case $CPR_TASK_ID in *-2) ;; *) exit 1 ;; esac",
        worktree=True,
    ).wait(LIMIT_S)
    branch = "main-task-a-1"
    more = work_repo.git("commit-tree", f"{branch}^{{tree}}", "-p", branch, "-m", "by hand")
    work_repo.git("update-ref", f"refs/heads/{branch}", more)
    report = session.merge()
    assert [one.task_id for one in report.merged] == ["a-2", "b-2"]
    assert work_repo.branches() == ["main", branch, "main-task-a-2", "main-task-b-2"]
    printed = capsys.readouterr()  # where lines go depends on whether this process has a notebook
    assert "removed 1 branch of candidates that were not chosen" in printed.out + printed.err
    assert (session.path / "task-b-1.patch").exists()


@pytest.mark.slow
def test_what_nobody_solved_is_not_merged(
    in_env: EnterEnv, stub_env: dict[str, str], work_repo: Checkout
) -> None:
    in_env(stub_env)
    tasks = [{"id": "a", "prompt": plan(write={"out.txt": "x"})}]
    session = cpr.launch(tasks, best_of=2, check="false", worktree=True).wait(LIMIT_S)
    with pytest.warns(UserWarning, match="not merged: 1 row without a candidate that succeeded"):
        assert session.best_df().cpr.merge() is None
    with pytest.raises(cpr.SessionNotUsable, match=r"no candidate of .* has succeeded"):
        session.merge()
    assert work_repo.branches() == ["main", "main-task-a-1", "main-task-a-2"]
    again = session.retry(check="case $CPR_TASK_ID in *-2) ;; *) exit 1 ;; esac").wait(LIMIT_S)
    (merged,) = again.best_df().cpr.merge().merged  # a retry is a best of N, too
    assert merged.task_id == "a-2" and work_repo.files("main")["out.txt"] == "x"
