"""After its answer, a run of the real CLI lives as long as what it left in the background."""

from __future__ import annotations

from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli
SERVER = "python3 -m http.server 0 --bind 127.0.0.1"
STILL_RUNS = f"a background command still runs ({SERVER})"


def in_background(command: str) -> dict[str, Any]:
    """A step that starts a command in the background."""
    call = {"command": command, "description": "start it", "run_in_background": True}
    return {"tool": "Bash", "input": call}


def dev_server(*steps: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A task that leaves a dev server running; these are the steps after it was started."""
    return {"prompt": script(in_background(SERVER), *steps), "permissions": "all", **options}


def await_answer(session: cpr.Session) -> cpr.Task:
    """Waits until the only task has answered and its process waits."""
    task = session[0]
    session.wait_until(lambda: "answered_at" in task.fields, LIMIT_S, "an answer")
    return task


def test_a_dev_server_that_is_left_running_is_ended_and_the_task_has_succeeded(
    real_cpr: Cpr, token: str
) -> None:
    session = real_cpr.launch(prompts(dev_server({"text": "It runs."}, linger_s=0.5)))
    (task,) = session.wait(LIMIT_S)
    assert (task.outcome, task.reason, task.text) == ("succeeded", "completed", "It runs.")
    assert task.note == f"ended 0.5 s after its answer; a background command still ran: {SERVER}"
    assert task.attempts == 1 and task.cost_usd is not None
    assert task.note in real_cpr.good("status", session.id)
