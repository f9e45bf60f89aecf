"""Sessions whose tasks have a worktree each: what a person sees, with the real CLI and the stub."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.worktrees.lock import repository_lock


def write(name: str, text: str) -> dict[str, object]:
    return {"tool": "Write", "input": {"file_path": "{cwd}/" + name, "content": text}}


@pytest.mark.slow
@pytest.mark.real_cli
def test_twelve_agents_edit_one_repository_and_the_main_checkout_stays_as_it_is(
    real_cpr: Cpr, work_repo: Checkout, tmp_path: Path
) -> None:
    work_repo.write({"a.txt": "one\nunsaved\n", "new.txt": "untracked\n"})
    before = work_repo.state()
    both = [[write("shared.txt", f"{n}\n")] if n < 3 else [] for n in range(12)]
    elements = [
        {"id": f"t{n}", "prompt": script(write(f"f{n}.txt", f"{n}\n"), *both[n], {"text": "done"})}
        for n in range(12)
    ]
    results = str(tmp_path / "results")
    one = real_cpr.launch(prompts(*elements[:6]), "--worktree", "-j3", "--results-dir", results)
    two = real_cpr.launch(prompts(*elements[6:]), "--worktree", "-j3", "--results-dir", results)
    for session in (one, two):
        session.wait(LIMIT_S)
        assert [task.outcome for task in session] == ["succeeded"] * 6, [t.error for t in session]
    for n in range(12):
        branch = f"main-task-t{n}"
        assert work_repo.git("show", f"{branch}:f{n}.txt") == f"{n}"
        changed = [f"f{n}.txt", *(["shared.txt"] if n < 3 else [])]
        assert work_repo.git("diff", "--name-only", "main", branch).split() == changed
        session = one if n < 6 else two
        fields = session.task(f"t{n}").fields
        figures = (fields["branch"], fields["n_files_changed"], fields["lines_added"])
        assert figures == (branch, len(changed), len(changed))
        assert f"+{n}\n" in (session.path / f"task-t{n}.patch").read_text()
    assert work_repo.state() == before
    assert work_repo.git("worktree", "list").count("\n") == 0
    told = real_cpr.good("status", one.id, "--results-dir", results)
    assert "Branches ready to merge:" in told and f"merge {one.id[:8]}" in told
    pairs = {(row.branch, row.other) for row in one.conflicts_df().itertuples()}
    names = [f"main-task-t{n}" for n in range(3)]
    assert pairs == set(itertools.combinations(names, 2)), "as forecast …"
    work_repo.git("checkout", "--", "a.txt")
    (work_repo.path / "new.txt").unlink()
    report = one.merge()
    assert [m.task_id for m in report.merged] == ["t3", "t4", "t5", "t0"], "… and as met"
    assert report.stopped is not None and report.stopped.files == ("shared.txt",)
    assert (report.stopped.branch, report.left) == ("main-task-t1", ("main-task-t2",))
    assert len(two.merge().merged) == 6


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_agent_knows_its_branch_and_its_prompt_stays_as_written(
    real_cpr: Cpr, work_repo: Checkout, api: ScriptedApi
) -> None:
    prompt = script({"text": "done"}, say="Say hello.")
    session = real_cpr.launch(prompts({"id": "one", "prompt": prompt}), "--worktree").wait(LIMIT_S)
    assert session[0].ok
    (request,) = [r for r in api.requests if r.path.endswith("/v1/messages")]
    assert request.last_user_blocks[-1] == prompt


@pytest.mark.slow
def test_a_launch_in_a_repository_recommends_worktrees(stub_cpr: Cpr, work_repo: Checkout) -> None:
    (work_repo.path / "p.json").write_text(prompts("a"))
    assert "--worktree gives each task a checkout" in stub_cpr.good("run", "--wait", "p.json")
    told = stub_cpr.good("run", "--wait", "--worktree", "p.json")
    assert "--worktree gives" not in told and "branches main-task-…" in told


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--setup", "true"], "setup needs --worktree"),
        (["--worktree", "--base", "nowhere"], "'nowhere' is not a commit of"),
    ],
)
def test_what_can_not_be_is_one_line(
    stub_cpr: Cpr, work_repo: Checkout, options: list[str], error: str
) -> None:
    done = stub_cpr("run", *options, stdin=prompts("a"))
    assert done.returncode == 2 and error in done.stderr and done.stderr.count("\n") == 1
    assert not (work_repo.path / "results").exists()


def test_outside_of_a_repository_nothing_starts(stub_cpr: Cpr) -> None:
    done = stub_cpr("run", "--worktree", stdin=prompts("a"))
    assert done.returncode == 2 and "is not in a git repository" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_branch_that_is_made_meanwhile_fails_its_task_alone(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("a")
    tasks = {"id": "a", "prompt": plan(here="a", gate="a")}, {"id": "b", "prompt": "b"}
    session = stub_cpr.launch(prompts(*tasks), "--worktree", "-j1")
    stub.await_here("a")
    work_repo.git("branch", "main-task-b")
    before = work_repo.git("rev-parse", "main-task-b")
    stub.release("a")
    session.wait(LIMIT_S)
    a, b = session
    assert a.ok and (b.outcome, b.reason, b.attempts) == ("failed", "worktree", 0)
    assert "main-task-b" in b.error and work_repo.git("rev-parse", "main-task-b") == before


@pytest.mark.slow
def test_a_set_up_that_fails_fails_its_task_and_leaves_no_worktree(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    setup = 'echo "$CPR_TASK_ID $CPR_BRANCH $CPR_PORT"; test "$CPR_TASK_ID" != bad'
    session = stub_cpr.launch(
        prompts({"id": "good", "prompt": "a"}, {"id": "bad", "prompt": "b"}),
        "--worktree",
        "--setup",
        setup,
    ).wait(LIMIT_S)
    good, bad = session
    assert good.ok and (bad.outcome, bad.reason) == ("failed", "setup_failed")
    assert (session.path / "task-bad.setup.log").read_text().startswith("bad main-task-bad ")
    env = stub.calls()["good"]["env"]
    assert env["CPR_BRANCH"] == "main-task-good" and env["CPR_PORT"].isdigit()
    assert sorted(stub.calls()) == ["good"]
    assert work_repo.git("worktree", "list").count("\n") == 0


@pytest.mark.slow
def test_a_set_up_that_hangs_ends_and_can_be_cancelled(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("s")
    hang = f"echo $CPR_TASK_ID > {stub.folder}/here-s; read x < {stub.folder}/never"
    session = stub_cpr.launch(
        prompts({"id": "slow", "prompt": "a"}), "--worktree", "--setup", hang,
        "--setup-timeout-s", "60",
    )  # fmt: skip
    assert stub.await_here("s") == "slow"
    stub_cpr.good("cancel", session.id, "--task", "slow")
    assert session.wait(LIMIT_S)[0].outcome == "cancelled"
    quick = stub_cpr.launch(
        prompts({"id": "quick", "prompt": "a"}), "--worktree", "--setup",
        f"read x < {stub.folder}/never", "--setup-timeout-s", "0.5",
    ).wait(LIMIT_S)  # fmt: skip
    assert (quick[0].outcome, quick[0].reason) == ("failed", "setup_failed")
    assert quick[0].error == "the set-up took longer than 0.5 s"
    assert stub.calls() == {} and work_repo.git("worktree", "list").count("\n") == 0


@pytest.mark.slow
def test_the_work_of_a_cancelled_task_is_on_its_branch(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": plan(here="x", gate="x")}), "--worktree", "-j1"
    )
    stub.await_here("x")
    Path(stub.calls()["x"]["cwd"], "half.txt").write_text("half\n")
    stub_cpr.good("cancel", session.id)
    assert session.wait(LIMIT_S)[0].outcome == "cancelled"
    assert work_repo.git("show", "main-task-x:half.txt") == "half"
    assert "+half" in (session.path / "task-x.patch").read_text()


def kill_runner(session: cpr.Session) -> None:
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")


@pytest.mark.slow
def test_a_resumed_session_continues_in_the_same_worktree_and_harvests_it(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout, token: str
) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": plan(here="x", gate="x")}), "--worktree", "-j1"
    )
    stub.await_here("x")
    cwd = Path(stub.calls()["x"]["cwd"])
    (cwd / "half.txt").write_text("half\n")
    kill_runner(session)
    for pid in processes.survivors(token):
        processes.end(pid)
    stub_cpr.good("resume", session.id)
    stub.await_here("x")
    assert Path(stub.calls()["x"]["cwd"]) == cwd
    stub.release("x")
    session.wait(LIMIT_S)
    assert session[0].ok and work_repo.git("show", "main-task-x:half.txt") == "half"
    assert session[0].fields["n_files_changed"] == 1 and not cwd.exists()


@pytest.mark.slow
def test_a_retry_continues_the_branch_of_its_parent(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    result = {"is_error": True, "terminal_reason": "api_error"}
    bad = {"id": "x", "prompt": plan(result=result, write={"new.txt": "new\n"})}
    first = stub_cpr.launch(prompts(bad), "--worktree", "--attempts", "1").wait(LIMIT_S)
    assert first[0].reason == "api_error"
    told = json.loads(stub_cpr.good("retry", "--json", first.id))
    second = cpr.Session(told["path"]).wait(LIMIT_S)
    assert second[0].reason == "api_error", "not: the branch is somebody else's"
    assert second[0].fields["branch"] == first[0].fields["branch"] == "main-task-x"


@pytest.mark.slow
def test_a_kept_worktree_stays(stub_cpr: Cpr, work_repo: Checkout) -> None:
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": "a"}), "--worktree", "--keep-worktrees"
    ).wait(LIMIT_S)
    assert Path(session[0].fields["worktree"]).is_dir()
    assert work_repo.git("worktree", "list").count("\n") == 1


@pytest.mark.slow
def test_a_task_that_is_cancelled_without_a_runner_is_harvested_all_the_same(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": plan(here="x", gate="x")}, "left"), "--worktree", "-j1"
    )
    stub.await_here("x")
    Path(stub.calls()["x"]["cwd"], "half.txt").write_text("half\n")
    kill_runner(session)
    stub_cpr.good("cancel", session.id, "--task", "x")
    processes.await_lock(session.path / "runner.lock")
    assert session.refresh()[0].outcome == "cancelled" and session.state == "interrupted"
    assert work_repo.git("show", "main-task-x:half.txt") == "half"
    stub_cpr.good("cancel", session.id)
    assert session.refresh().state == "cancelled"


@pytest.mark.slow
def test_a_runner_that_is_killed_during_the_harvest_loses_nothing(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout, token: str
) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": plan(here="x", gate="x")}), "--worktree"
    )
    stub.await_here("x")
    Path(stub.calls()["x"]["cwd"], "work.txt").write_text("done\n")
    journal = session.path / "journal.jsonl"
    with repository_lock(str(work_repo.path / ".git")):  # the harvest gets so far and no further
        stub.release("x")
        while '"harvest_started"' not in journal.read_text():
            pass
        kill_runner(session)
        for pid in processes.survivors(token):
            processes.end(pid)
    assert session.state == "interrupted"
    stub_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    assert (session[0].outcome, session[0].attempts, session[0].text) == ("succeeded", 1, "done")
    assert work_repo.git("show", "main-task-x:work.txt") == "done"
    assert "+done" in session[0].diff().patch and session[0].fields["lines_added"] == 1
    assert len(stub.calls()) == 1 and work_repo.git("worktree", "list").count("\n") == 0


def test_a_diff_is_harmless_in_a_notebook(stub_cpr: Cpr, stub: Stub, work_repo: Checkout) -> None:
    stub.fifos("x")
    session = stub_cpr.launch(
        prompts({"id": "x", "prompt": plan(here="x", gate="x")}), "--worktree"
    )
    stub.await_here("x")
    Path(stub.calls()["x"]["cwd"], "a.txt").write_text("<script>alert(1)</script>\n")
    stub.release("x")
    diff = session.wait(LIMIT_S)[0].diff()
    assert "-one\n+<script>alert(1)</script>" in str(diff) and bool(diff)
    assert "<script>" not in diff._repr_html_() and "&lt;script&gt;" in diff._repr_html_()


def test_a_skipped_task_continues_in_a_worktree_of_its_branch(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout
) -> None:
    refusal = {"is_error": True, "api_error_status": 401, "result": "Not logged in"}
    first = plan(write={"one.txt": "1\n"}, result=refusal, exit=1, mended={})
    elements = [{"id": "refused", "prompt": first}, {"id": "left", "prompt": plan()}]
    session = stub_cpr.launch(prompts(*elements), "-j1", "--worktree", "--login-wait-s", "0.5")
    assert [task.outcome for task in session.wait(LIMIT_S)] == ["skipped", "skipped"]
    assert work_repo.git("show", "main-task-refused:one.txt") == "1", "what it had done is safe"
    stub.mend()
    stub_cpr.good("resume", session.id, "--skipped")
    (one, two) = session.wait(LIMIT_S)
    assert (one.outcome, two.outcome) == ("succeeded", "succeeded"), (one.error, two.error)
    assert (one.fields["branch"], one.fields["attempts"]) == ("main-task-refused", 2)
    assert one.fields["n_files_changed"] == 1
    assert work_repo.git("worktree", "list").count("\n") == 0
