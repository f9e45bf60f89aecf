"""Agents on nodes that ask, with the real CLI: answers reach them, and nothing waits for ever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.node_agents import NodeAgents, runner_pid

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli

OPTIONS = ("--ask", "--executor", "agents", "--lease-s", "30")
COMMAND = 'python3 -c \'open("made", "a").write("x")\''
ASKS = script({"tool": "Bash", "input": {"command": COMMAND}}, {"text": "done"})


@pytest.fixture(autouse=True)
def _same_state_dir(in_env: Callable[[dict[str, str]], None], real_cpr: Cpr) -> None:
    in_env(real_cpr.env)


def await_question(session: cpr.Session) -> None:
    session.wait_until(lambda: len(session.questions) == 1, LIMIT_S, "the question")


def test_an_answer_reaches_an_agent_on_a_node(real_cpr: Cpr, tmp_path: Path) -> None:
    session = real_cpr.launch(prompts(ASKS), *OPTIONS)
    with NodeAgents(real_cpr, tmp_path / "logs") as agents:
        agents.join(session, "n1", slots=1)
        await_question(session)
        session[0].answer("once")
        session.wait(LIMIT_S)
        agents.await_left(session)
    assert session[0].ok and (real_cpr.cwd / "made").read_text() == "x"


def test_after_a_new_runner_nobody_waits_for_an_answer(real_cpr: Cpr, tmp_path: Path) -> None:
    session = real_cpr.launch(prompts(ASKS), *OPTIONS)
    with NodeAgents(real_cpr, tmp_path / "logs") as agents:
        agents.join(session, "n1", slots=1)
        await_question(session)
        os.kill(runner_pid(session), signal.SIGKILL)
        processes.await_lock(session.path / "runner.lock")
        real_cpr.good("resume", session.id)
        session.wait(LIMIT_S)
        agents.await_left(session)
    assert session[0].ok and session[0].fields["attempts"] == 1
    assert not (real_cpr.cwd / "made").exists()
