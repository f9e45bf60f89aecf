"""`cpr answer` where nobody asks and where the call is wrong; what can't be combined with `ask`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr


@pytest.fixture
def session(stub_cpr: Cpr, stub: Stub) -> Iterator[cpr.Session]:
    """A session that runs, whose agents ask nobody."""
    stub.fifos("a")
    session = stub_cpr.launch(prompts({"id": "a", "prompt": plan(here="a", gate="a")}))
    stub.await_here("a")
    yield session
    stub.release("a")
    session.wait(LIMIT_S)


def test_where_nobody_asks_the_list_says_so(stub_cpr: Cpr, session: cpr.Session) -> None:
    assert "nobody asks anything" in stub_cpr.good("answer", session.id)
    assert json.loads(stub_cpr.good("answer", session.id, "--json")) == []
    assert "question" not in stub_cpr.good("list") + stub_cpr.good("overview").lower()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["9c41f0", "--once"], "has no open question '9c41f0'; open are: none"),
        (["", "--once"], "open are: none"),
        (["9c41f0"], "which answer? --once, --session or --deny"),
        (["--deny"], "which question? cpr answer SESSION lists them"),
        (["9c41f0", "--once", "--why", "x"], "only a denied agent reads it"),
        (["9c41f0", "--once", "--deny"], "not allowed with"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_answers_nothing(
    stub_cpr: Cpr, session: cpr.Session, arguments: list[str], error: str
) -> None:
    done = stub_cpr("answer", session.id, *arguments)
    assert done.returncode == 2 and error in done.stderr
    assert "answered" not in (session.path / "journal.jsonl").read_text()


def test_a_task_whose_session_does_not_ask_can_not_be_spoken_to(session: cpr.Session) -> None:
    with pytest.raises(cpr.SessionNotUsable, match="launched without ask=True"):
        session[0].send("Stop.")
    with pytest.raises(cpr.InputError, match="nothing to say"):
        session[0].send(" ")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--permissions", "all"], "has nothing to ask with permissions=all"),
        (["--light"], "can't be combined with light"),
        (["--claude-args=--permission-prompt-tool=x"], "has --permission-prompt-tool"),
    ],
)
def test_what_can_not_be_combined_with_ask_is_refused(
    stub_cpr: Cpr, options: list[str], error: str
) -> None:
    done = stub_cpr("run", "--ask", *options, stdin=prompts("x"))
    assert done.returncode == 2 and error in done.stderr
    assert not (stub_cpr.cwd / "results").exists()


def test_without_a_state_directory_an_agent_could_answer_itself(stub_cpr: Cpr) -> None:
    done = stub_cpr("run", "--ask", stdin=prompts("x"), env={"CPR_STATE_DIR": "/dev/null/x"})
    assert done.returncode == 2 and "needs a state directory" in done.stderr


def test_with_shared_processes_each_task_has_its_own_and_the_launch_says_so(stub_cpr: Cpr) -> None:
    done = stub_cpr("run", "--ask", "--share-process", "--dry-run", stdin=prompts("x", "y"))
    assert "each task has a process of its own, because of: ask (2)" in done.stdout + done.stderr
