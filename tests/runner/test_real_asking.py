"""Agents that ask, with the real CLI: answers reach them, and nothing waits for ever."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.views.questions import Question

pytestmark = pytest.mark.real_cli


@pytest.fixture(autouse=True)
def _same_state_dir(in_env: Callable[[dict[str, str]], None], real_cpr: Cpr) -> None:
    in_env(real_cpr.env)


def touch(name: str) -> dict[str, Any]:
    """A command that the permissions of `edits` ask for."""
    command = f'python3 -c \'open("{name}", "a").write("x")\''
    return {"tool": "Bash", "input": {"command": command, "description": f"make {name}"}}


def asks(*names: str, **fields: Any) -> dict[str, Any]:
    """A task that wants to make files, one after the other."""
    return {"prompt": script(*map(touch, names), {"text": "done"}), **fields}


def await_questions(session: cpr.Session, *names: str) -> list[Question]:
    """Waits until exactly the questions about these files are open."""

    def are_open() -> bool:
        open_now = sorted(question.says for question in session.questions)
        return open_now == [f"make {name}" for name in names]

    session.wait_until(are_open, LIMIT_S, "the questions")
    return sorted(session.questions, key=lambda question: question.task_num)


def journal(session: cpr.Session, event: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (session.path / "journal.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def runner_pid(session: cpr.Session) -> int:
    return int(json.loads((session.path / "runner.json").read_bytes())["pid"])


def test_once_session_and_deny_reach_the_agents(real_cpr: Cpr) -> None:
    names = [("a1", "a2"), ("b1", "b2")]
    session = real_cpr.launch(prompts(*(asks(*pair) for pair in names)), "--ask")
    first, second = await_questions(session, "a1", "b1")
    assert (first.wants, first.rule) == ("wants to run a command", "Bash(python3:*)")
    assert (session.head["n_questions"], len(session[0].questions)) == (2, 1)
    listed = real_cpr.good("answer", session.id)
    assert f"{second.key[:6]}  task 2 wants to run a command" in listed
    assert "allows Bash(python3:*) (allows any command)" in listed
    real_cpr.good("answer", session.id, second.key[:6], "--deny", "--why", "Not here.")
    session[0].answer("once")
    await_questions(session, "a2", "b2")
    session.answer(session[0].questions[0].key, "session")
    session.wait(LIMIT_S)
    assert [task.ok for task in session] == [True, True]
    assert sorted(path.name for path in real_cpr.cwd.glob("[ab][12]")) == ["a1", "a2", "b2"]
    assert [task.fields.get("n_denials", 0) for task in session] == [0, 1]
    assert session[1].denials[0]["message"] == "The user denied this. Not here."
    answers = [(line["decision"], line["by"]) for line in journal(session, "answered")]
    assert sorted(answers[:2]) == [("deny", "person"), ("once", "person")]
    assert answers[2:] == [
        ("session", "person"),
        ("session", "rule"),
    ]
    assert "n_questions" not in session.head and session.questions == []


def test_what_nobody_answers_is_denied_and_the_agent_goes_on(real_cpr: Cpr) -> None:
    shown = real_cpr.good("run", "--wait", "--ask", "--ask-s", "1", stdin=prompts(asks("a")))
    assert "what nobody answers within 1 s is denied" in shown
    session = cpr.Session(next((real_cpr.cwd / "results").glob("session-*")))
    assert session[0].ok and not (real_cpr.cwd / "a").exists()
    assert "Nobody answered within 1 s" in session[0].denials[0]["message"]
    assert [line["by"] for line in journal(session, "answered")] == ["nobody"]


def test_a_runner_that_is_killed_leaves_no_agent_waiting(real_cpr: Cpr, api: ScriptedApi) -> None:
    session = real_cpr.launch(prompts(asks("a")), "--ask")
    await_questions(session, "a")
    os.kill(runner_pid(session), signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    assert session.questions == []  # the CLI denies the call itself, and ends its turn
    real_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    assert session[0].ok and session[0].fields["attempts"] == 1
    assert not (real_cpr.cwd / "a").exists() and len(api.requests) == 2


def test_a_runner_that_is_stopped_asks_again_after_it_is_resumed(real_cpr: Cpr) -> None:
    session = real_cpr.launch(prompts(asks("a", "b", "b")), "--ask")
    (before,) = await_questions(session, "a")
    os.kill(runner_pid(session), signal.SIGTERM)
    processes.await_lock(session.path / "runner.lock")
    with pytest.raises(SessionNotUsable, match="no runner"):
        session.answer(before, "once")
    real_cpr.good("resume", session.id)
    (after,) = await_questions(session, "b")  # the script goes on behind what was cut off
    with pytest.raises(InputError, match="has no open question"):
        session.answer(before.key, "once")
    session.answer(after, "session")
    session.wait(LIMIT_S)
    assert session[0].ok and session[0].fields["attempts"] == 2
    assert [path.name for path in real_cpr.cwd.glob("[ab]")] == ["b"]


def test_a_task_that_is_cancelled_asks_no_more(real_cpr: Cpr) -> None:
    session = real_cpr.launch(prompts(asks("a"), asks("b")), "--ask")
    await_questions(session, "a", "b")
    session[0].cancel()
    await_questions(session, "b")
    session.cancel()
    session.wait(LIMIT_S)
    assert session.questions == [] and "n_questions" not in session.head
    assert not [*real_cpr.cwd.glob("[ab]")]


def test_what_is_said_to_a_task_arrives_before_its_next_step(real_cpr: Cpr) -> None:
    session = real_cpr.launch(prompts(asks("a")), "--ask")
    await_questions(session, "a")
    session[0].send("Leave the lock file alone: é 👩\u200d💻.")
    session.wait_until(lambda: bool(journal(session, "said")), LIMIT_S, "the message")
    session[0].answer("once")
    session.wait(LIMIT_S)
    assert session[0].ok
    transcripts = Path(real_cpr.env["CLAUDE_CONFIG_DIR"]).rglob("*.jsonl")
    assert any("Leave the lock file alone: é" in path.read_text() for path in transcripts)
    with pytest.raises(SessionNotUsable, match="does not run: it is ended"):
        session[0].send("Too late.")


def test_a_reading_agent_asks_too_and_a_forged_question_gets_no_answer(
    real_cpr: Cpr, tmp_path: Path
) -> None:
    step = {"tool": "Bash", "input": {"command": "touch a", "description": "make a"}}
    task = {"prompt": script(step, {"text": "done"})}
    session = real_cpr.launch(
        prompts(task), "--ask", "--permissions", "read", "--tools", "Bash,Read"
    )
    (real,) = await_questions(session, "a")
    forged = json.loads((session.path / "status.json").read_text())
    forged["tasks"][0]["questions"][0]["target"] = "ls"
    copy = tmp_path / "copy"
    copy.write_text(json.dumps(forged))
    copy.replace(session.path / "status.json")
    shown = session.questions
    assert [question.target for question in shown] == ["ls"] and shown[0].key != real.key
    session.answer(shown[0], "once")
    session.wait_until(lambda: bool(journal(session, "request")), LIMIT_S, "the request")
    assert journal(session, "answered") == []
    session.answer(real, "deny")
    session.wait(LIMIT_S)
    assert session[0].ok and not (real_cpr.cwd / "a").exists()
