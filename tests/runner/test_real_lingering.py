"""After its answer, a run of the real CLI lives as long as what it left in the background."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.display.cards import session_card
from cpr_nb.display.session_model import SessionModel
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
SERVER = "python3 -m http.server 0 --bind 127.0.0.1"
SHOWN = f"answered; a background command still runs ({SERVER})"


def in_background(command: str) -> dict[str, Any]:
    """A step that starts a command in the background."""
    call = {"command": command, "description": "start it", "run_in_background": True}
    return {"tool": "Bash", "input": call}


def await_answer(session: cpr.Session) -> cpr.Task:
    """Waits until the first task has answered while its process still runs."""
    session.wait_until(lambda: "answered_at" in session[0].fields, LIMIT_S, "an answer")
    return session[0]


def test_a_dev_server_that_is_left_running_is_ended_and_its_task_has_succeeded(
    real_cpr: Cpr,
) -> None:
    prompt = script(in_background(SERVER), {"text": "It runs."})
    session = real_cpr.launch(prompts({"prompt": prompt, "linger_s": 0.5}), "--permissions", "all")
    (task,) = session.wait(LIMIT_S)  # the fixture `token` shows that nothing of it is left
    assert (task.outcome, task.reason, task.text) == ("succeeded", "completed", "It runs.")
    assert task.note == f"ended 0.5 s after its answer; a background command still ran: {SERVER}"
    assert task.attempts == 1 and task.cost_usd is not None
    assert task.note in real_cpr.good("status", session.id)


def test_while_a_dev_server_runs_the_answer_is_there_and_the_place_is_taken(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    prompt = script(in_background(SERVER), {"text": "It runs."})
    session = real_cpr.launch(prompts(prompt, "next"), "-j1", "--permissions", "all")
    task = await_answer(session)
    assert (task.state, session[1].state, task.outcome) == ("running", "pending", None)
    assert (task.text, task.note) == ("It runs.", SHOWN) and task.cost_usd is not None
    assert SHOWN in real_cpr.good("status", session.id)
    assert f"It runs.\n[Task still running: {SHOWN}]\n" in real_cpr.good("results", session.id)
    row = json.loads(real_cpr.good("status", session.id, "--json"))["tasks"][0]
    assert (row["result"].strip(), row["note"], row["cost_usd"] > 0) == ("It runs.", SHOWN, True)
    model = SessionModel(str(session.path))
    model.refresh()
    assert SHOWN in str(model.rows[0]) and "running" in session_card(model)
    assert not api.requests[-1].last_user_text.startswith("next"), "its place was taken"
    assert task.cancel()
    session.wait(LIMIT_S)
    assert [(task.outcome, task.note) for task in session] == [("succeeded", "")] * 2


def test_a_turn_that_a_notification_starts_makes_it_work_again(
    real_cpr: Cpr, api: ScriptedApi, work: Path
) -> None:
    os.mkfifo(work / "go")
    prompt = script(
        in_background("cat go"),
        {"text": "It runs."},
        {"text": "It has ended.", "wait": "second", "notification": 1},
    )
    session = real_cpr.launch(prompts(prompt), "--permissions", "all")
    task = await_answer(session)
    with (work / "go").open("w"):
        pass
    session.wait_until(lambda: not task.note, LIMIT_S, "another turn")
    assert (task.state, "answered_at" in task.fields) == ("running", False)
    api.release("second")
    session.wait(LIMIT_S)
    assert (task.outcome, task.note) == ("succeeded", "")
    assert task.text == "It has ended."


def test_an_agent_in_the_background_is_waited_for(real_cpr: Cpr, api: ScriptedApi) -> None:
    agent = {
        "description": "Sub work",
        "prompt": script({"wait": "agent", "text": "found it"}),
        "subagent_type": "general-purpose",
        "run_in_background": True,
    }
    steps = [{"tool": "Task", "input": agent}, {"text": "It works."}]
    prompt = script(*steps, {"text": "All done.", "notification": 1})
    session = real_cpr.launch(prompts(prompt), "--allow", "Task")
    (task,) = session
    session.wait_until(lambda: "It works." in task.text, LIMIT_S, "the end of the first turn")
    assert task.state == "running"
    api.release("agent")
    session.wait(LIMIT_S)
    assert (task.outcome, task.text, task.note) == ("succeeded", "All done.", "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_if_its_runner_goes_the_answer_stays_and_nothing_lingers_for_ever(
    real_cpr: Cpr, number: int
) -> None:
    prompt = script(in_background(SERVER), {"text": "It runs."})
    session = real_cpr.launch(prompts(prompt), "--linger-s", "3600", "--permissions", "all")
    task = await_answer(session)
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], number)
    processes.await_lock(session.path / "runner.lock")
    if number == signal.SIGKILL:  # the next runner adopts its process, and ends it in its turn
        assert task.text == "It runs." and "It runs." in real_cpr.good("results", session.id)
        spec = session.path / "session.json"
        spec.write_text(spec.read_text().replace('"linger_s":3600', '"linger_s":1', 1))
        real_cpr.good("trust", "--yes", session.id)
        real_cpr.good("resume", session.id)
        session.wait(LIMIT_S)
        assert task.note.startswith("ended 1 s after its answer; a background command still ran")
    session.refresh()
    assert (session.state, task.outcome, task.text) == ("completed", "succeeded", "It runs.")
    assert task.attempts == 1
