"""Follow-ups from the terminal: agents that have ended read something more, and remember."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

Transcript = Callable[[str], Path]
MORE = "Now write the tests, and {leave} these braces."


def continued(output: str) -> cpr.Session:
    return cpr.Session(json.loads(output)["path"]).wait(LIMIT_S)


@pytest.fixture
def mixed(stub_cpr: Cpr, transcript: Transcript) -> cpr.Session:
    """Two tasks succeeded and one failed; the CLI has all three conversations."""
    bad = plan(result={"is_error": True, "terminal_reason": "api_error"})
    elements = [{"id": name, "prompt": name} for name in ("one", "two")]
    text = prompts(*elements, {"id": "bad", "prompt": bad})
    session = stub_cpr.launch(text, "--model", "opus", "--name", "mixed").wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded", "succeeded", "failed"]
    for task in session:
        transcript(str(task.conversation_id))
    return session


def test_each_task_that_succeeded_is_told_more(
    stub_cpr: Cpr, stub: Stub, mixed: cpr.Session
) -> None:
    more = continued(stub_cpr.good("follow-up", "mixed", MORE, "--json", "--effort", "high"))
    assert [(task.id, task.prompt) for task in more] == [("one", MORE), ("two", MORE)]
    assert more.head["parent_session_id"] == mixed.id
    for task, before in zip(more, mixed, strict=False):
        argv = stub.calls()[task.id]["argv"]
        assert argv[argv.index("--resume") + 1] == before.conversation_id != task.conversation_id
        assert "opus" in argv and "high" in argv


def test_named_tasks_are_told_more_each_once(stub_cpr: Cpr, mixed: cpr.Session) -> None:
    named = ("--task", "bad", "--task", "1", "--task", "one")
    output = stub_cpr.good("follow-up", mixed.id[:8], "-", *named, "--json", stdin="Go on.\n")
    assert [(task.id, task.prompt) for task in continued(output)] == [
        ("bad", "Go on.\n"),
        ("one", "Go on.\n"),
    ]


def test_a_dry_run_and_an_earlier_follow_up_start_nothing(
    stub_cpr: Cpr, mixed: cpr.Session
) -> None:
    planned = json.loads(stub_cpr.good("follow-up", mixed.id, MORE, "--dry-run", "--json"))
    assert [row["prompt"] for row in planned] == [MORE, MORE]
    assert len(list(mixed.path.parent.glob("session-*"))) == 1
    first = continued(stub_cpr.good("follow-up", mixed.id, MORE, "--json"))
    again = stub_cpr("follow-up", mixed.id, MORE, "--json", "--reuse")
    assert json.loads(again.stdout)["session_id"] == first.id and "attached" in again.stderr
    assert len(list(mixed.path.parent.glob("session-*"))) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["mixed", " "], "is empty"),
        (["mixed", "more", "--task", "nine"], "no task 'nine'"),
        (["failed", "more"], "has succeeded: name those to go on with (--task"),
        (["failed", "more", "--task", "1"], "retry begins a new one"),
        (
            ["mixed", "more", "--system-prompt", "Be brief."],
            "keeps the system prompt that it began",
        ),
        (["mixed"], "the following arguments are required: PROMPT"),
    ],
    ids=["empty", "no task", "none succeeded", "no conversation", "system prompt", "no prompt"],
)
def test_a_mistake_is_one_line_and_starts_nothing(
    stub_cpr: Cpr, mixed: cpr.Session, words: list[str], why: str
) -> None:
    text = prompts(plan(result={"is_error": True, "terminal_reason": "api_error"}))
    stub_cpr.launch(text, "--name", "failed").wait(LIMIT_S)
    done = stub_cpr("follow-up", *words)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert why in done.stderr
    assert len(list(mixed.path.parent.glob("session-*"))) == 2


def test_a_mistyped_name_is_corrected(stub_cpr: Cpr) -> None:
    done = stub_cpr("folow-up", "3f2a", "more")
    assert done.returncode == 2 and "did you mean follow-up?" in done.stderr


@pytest.mark.real_cli
def test_the_real_agent_remembers_and_goes_on_with_its_branch(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    real_cpr.cwd.rmdir()
    repo = Checkout.new(real_cpr.cwd)
    repo.commit("first", {".gitignore": "results/\n"})
    wrote = {"tool": "Write", "input": {"file_path": "{cwd}/a.txt", "content": "one\n"}}
    first = script(wrote, {"text": "done"}, say="Write a.txt.")
    session = real_cpr.launch(prompts({"id": "a", "prompt": first}), "--worktree").wait(LIMIT_S)
    assert session[0].ok and session[0].fields["branch"] == "main-task-a"
    added = {"tool": "Write", "input": {"file_path": "{cwd}/b.txt", "content": "two\n"}}
    said = script(added, {"text": "added"}, say="Now add b.txt.")
    done = real_cpr("follow-up", session.id, said, "--wait")
    assert done.returncode == 0 and "1/1 succeeded" in done.stdout
    asked = [request for request in api.requests if "Now add b.txt." in request.last_user_text]
    assert asked and asked[0].n_messages > 2, "the conversation before it was sent along"
    assert repo.files("main-task-a") == {".gitignore": "results/", "a.txt": "one", "b.txt": "two"}
