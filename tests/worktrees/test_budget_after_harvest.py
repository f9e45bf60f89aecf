"""What an attempt cost is paid from the budget, also if its runner died before recording it."""

from __future__ import annotations

import json
import os
import signal

from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import Stub, plan

from cpr_nb.worktrees.lock import repository_lock


def test_an_attempt_whose_runner_died_during_the_harvest_is_paid_from_the_budget(
    stub_cpr: Cpr, stub: Stub, work_repo: Checkout, token: str
) -> None:
    stub.fifos("x")
    tasks = [{"id": "x", "prompt": plan(here="x", gate="x")}, {"id": "y", "prompt": "y"}]
    session = stub_cpr.launch(prompts(*tasks), "--worktree", "-j1", "--budget-usd", "1")
    stub.await_here("x")
    journal = session.path / "journal.jsonl"
    with repository_lock(str(work_repo.path / ".git")):  # the harvest gets so far and no further
        stub.release("x")
        while '"harvest_started"' not in journal.read_text():
            pass
        runner = json.loads((session.path / "runner.json").read_text())["pid"]
        os.kill(runner, signal.SIGKILL)
        processes.await_lock(session.path / "runner.lock")
        for pid in processes.survivors(token):
            processes.end(pid)
    stub_cpr.good("resume", session.id)
    session.wait(LIMIT_S)
    argv = stub.calls()["y"]["argv"]
    assert argv[argv.index("--max-budget-usd") + 1] == "0.75"
    assert session.head["cost_usd"] == 0.5
