"""The user's own check after a success, and denials that count."""

from __future__ import annotations

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

GOOD = "test -e good || { echo no good file; exit 3; }"
DENIED = {"permission_denials": [{"tool_name": "Bash", "tool_input": {"command": "pytest -q"}}]}


def test_a_check_that_fails_makes_its_task_fail_and_its_output_is_kept(stub_cpr: Cpr) -> None:
    folder = stub_cpr.cwd / "there"
    folder.mkdir()
    (folder / "good").touch()
    text = prompts("a", {"prompt": "b", "cwd": str(folder)}, {"prompt": "c", "check": "true"})
    session = stub_cpr.launch(text, "--check", GOOD).wait(LIMIT_S)
    assert [(task.outcome, task.reason) for task in session] == [
        ("failed", "check_failed"),
        ("succeeded", "completed"),
        ("succeeded", "completed"),
    ]
    bad = session[0]
    assert bad.error == "the check failed (exit 3): no good file"
    assert (session.path / f"task-{bad.id}.check.log").read_text() == "no good file\n"
    assert bad.text.startswith("done\n\n[failed: check_failed]"), "the good answer is kept"
    assert bad.cost_usd == 0.25 and bad.attempts == 1


def test_a_check_runs_in_the_tasks_own_environment(stub_cpr: Cpr) -> None:
    element = {"id": "one", "prompt": "a", "env": {"WORD": "it's"}}
    session = stub_cpr.launch(prompts(element), "--check", "env > seen").wait(LIMIT_S)
    seen = (stub_cpr.cwd / "seen").read_text()
    assert "CPR_TASK_ID=one\n" in seen and f"CPR_SESSION_ID={session.id}\n" in seen
    assert "WORD=it's\n" in seen and session[0].ok


def test_a_failed_task_is_not_checked(stub_cpr: Cpr) -> None:
    text = prompts(plan(result={"is_error": True, "terminal_reason": "api_error"}))
    session = stub_cpr.launch(text, "--check", "touch checked", "--attempts", "1").wait(LIMIT_S)
    assert session[0].reason == "api_error" and not (stub_cpr.cwd / "checked").exists()


def test_a_check_that_hangs_ends_with_its_whole_tree(stub_cpr: Cpr, stub: Stub, token: str) -> None:
    check = f"setsid sh -c 'read x < {stub.folder}/never' & read x < {stub.folder}/never"
    session = stub_cpr.launch(prompts("a"), "--check", check, "--check-timeout-s", "0.5").wait(
        LIMIT_S
    )
    assert (session[0].outcome, session[0].reason) == ("failed", "check_failed")
    assert session[0].error == "the check took longer than 0.5 s"
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}


def test_a_task_can_be_cancelled_while_it_is_checked(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("c")
    check = f"echo x > {stub.folder}/here-c; read x < {stub.folder}/never"
    session = stub_cpr.launch(prompts({"id": "one", "prompt": "a"}), "--check", check)
    stub.await_here("c")
    stub_cpr.good("cancel", session.id, "--task", "one")
    assert session.wait(LIMIT_S)[0].outcome == "cancelled"


@pytest.mark.parametrize("strict", [True, False])
def test_a_denied_tool_call_fails_the_task_only_if_asked(stub_cpr: Cpr, strict: bool) -> None:
    options = ["--fail-on-denied"] if strict else []
    session = stub_cpr.launch(prompts(plan(result=DENIED), "fine"), *options).wait(LIMIT_S)
    (denied, fine) = session
    assert fine.ok and denied.fields["n_denials"] == 1
    assert [denial["rule"] for denial in denied.denials] == ["Bash(pytest:*)"]
    if strict:
        assert (denied.outcome, denied.reason) == ("failed", "denied")
        assert denied.error == "denied: Bash(pytest:*)"
    else:
        assert denied.ok
    assert "--allow 'Bash(pytest:*)'" in stub_cpr.good("status", session.id)
