"""The budget from outside: what the launch says, and what each run of the CLI may spend."""

from __future__ import annotations

import json
import os
import signal

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

_TOKENS = {"input_tokens": 1000}
_MESSAGE = {"id": "m2", "model": "stub", "role": "assistant", "content": [], "usage": _TOKENS}
#: A task that shows its tokens, and then costs USD 0.25.
SHOWS = {
    "raw": json.dumps({"type": "assistant", "message": _MESSAGE}),
    "result": {"usage": _TOKENS},
}


def may_spend(stub: Stub) -> dict[str, float]:
    """What the last run of each task was allowed to spend."""
    argvs = {task: call["argv"] for task, call in stub.calls().items()}
    return {task: float(argv[argv.index("--max-budget-usd") + 1]) for task, argv in argvs.items()}


def test_each_run_may_spend_what_is_left(stub_cpr: Cpr, stub: Stub) -> None:
    tasks = [{"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b", "task_budget_usd": 0.1}]
    session = stub_cpr.launch(
        prompts(*tasks, {"id": "c", "prompt": "c"}), "-j1", "--budget-usd", "1"
    )
    assert [task.outcome for task in session.wait(LIMIT_S)] == ["succeeded"] * 3
    assert may_spend(stub) == {"a": 1.0, "b": 0.1, "c": 0.5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget-usd", "5"], "no task_budget_usd bounds what a task costs"),
        (["--budget-usd", "5", "--task-budget-usd", "1"], ""),
        (["--task-budget-usd", "1"], ""),
    ],
)
def test_the_launch_says_what_is_not_bounded(
    stub_cpr: Cpr, stub: Stub, options: list[str], words: str
) -> None:
    done = stub_cpr("run", "-", "--dry-run", *options, stdin=prompts("a", "b"))
    assert done.returncode == 0 and words in done.stderr
    assert ("task_budget_usd" in done.stderr) == bool(words)


def test_after_a_resume_only_what_is_left_can_be_spent(
    stub_cpr: Cpr, stub: Stub, token: str
) -> None:
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(**SHOWS, here="held", gate="held")}
    text = prompts({"id": "a", "prompt": plan(**SHOWS)}, held, {"id": "c", "prompt": "c"})
    session = stub_cpr.launch(text, "-j1", "--budget-usd", "2")
    stub.await_here("held")
    assert may_spend(stub) == {"a": 2.0, "held": 1.75}
    kill(session, stub)
    stub_cpr.good("resume", session.id)
    stub.await_here("held")
    # The first one cost 0.25, and so has the attempt that was killed, by the tokens that it showed.
    assert may_spend(stub)["held"] == 1.5
    stub.release("held")
    session.wait(LIMIT_S)
    assert may_spend(stub)["c"] == 1.25
    assert session[1].cost_usd == 0.25, "an estimate is never recorded"


def kill(session: cpr.Session, stub: Stub) -> None:
    """Kills the runner, and its agent."""
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    os.kill(runner, signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    processes.end(stub.calls()["held"]["pid"])
