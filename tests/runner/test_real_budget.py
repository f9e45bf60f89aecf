"""The session's budget with the real CLI, judged by the scripted API's log of requests."""

from __future__ import annotations

import random
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
N_REQUESTS = 3


def task(name: str, output_tokens: int) -> dict[str, Any]:
    """A task of three requests that write so many tokens in all."""
    usage = {"usage": {"output_tokens": output_tokens // N_REQUESTS}}
    look = {"tool": "Bash", "input": {"command": "true"}, **usage}
    return {"id": name, "prompt": script(look, look, {"text": name, **usage}, say=name)}


def even(chance: random.Random) -> float:
    return chance.uniform(0.5, 1.5)


def heavy(chance: random.Random) -> float:
    return chance.lognormvariate(-0.72, 1.2)


@pytest.mark.parametrize(
    ("at_once", "draw"),
    [(8, heavy), (64, even)],
    ids=["8", "64"],
)
@pytest.mark.slow
def test_a_budget_holds(real_cpr: Cpr, api: ScriptedApi, at_once: int, draw: Any) -> None:
    chance = random.Random(7)
    tokens = {f"t{number}": int(12_500 * draw(chance)) for number in range(70)}
    options = ("-j", str(at_once), "--budget-usd", "1", "--permissions", "all")
    session = real_cpr.launch(prompts(*[task(*one) for one in tokens.items()]), *options)
    session.wait(LIMIT_S)
    usd_per_token = _usd_per_token(session, tokens)
    names = {task.conversation_id: task.id for task in session if task.conversation_id}
    answers = [one for one in api.requests if one.step >= 0 and one.status == 200]
    spent_usd = sum(
        tokens[names[one.conversation_id]] / N_REQUESTS * usd_per_token for one in answers
    )
    assert 0.5 <= spent_usd <= 1.5, f"{len(answers)} answers"
    ends = [(one.outcome, one.reason) for one in session]
    assert ends.count(("succeeded", "completed")) >= 2
    assert set(ends) <= {("succeeded", "completed"), ("failed", "budget"), ("skipped", "budget")}
    assert len(names) <= 20, "most never started"


def _usd_per_token(session: Any, tokens: dict[str, int]) -> float:
    """What a written token costs, with what is paid for what was read."""
    good = [one for one in session if one.outcome == "succeeded"]
    return float(sum(one.cost_usd for one in good) / sum(tokens[one.id] for one in good))


def test_a_task_is_stopped_where_the_budget_ends(real_cpr: Cpr, api: ScriptedApi) -> None:
    endless = script(
        {"tool": "Bash", "input": {"command": "true"}, "usage": {"output_tokens": 9000}}
    )
    session = real_cpr.launch(prompts(endless), "--budget-usd", "0.5", "--permissions", "all")
    (one,) = session.wait(LIMIT_S)
    assert (one.outcome, one.reason) == ("failed", "budget")
    assert one.cost_usd < 0.5 + 0.3, "it may exceed the budget by one answer"
    assert len(api.requests) < 6
