"""A session that someone watches: its figures follow what its tasks do."""

from __future__ import annotations

import json

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

from cpr_nb.views.followed_session import FollowedSession
from cpr_nb.views.task_figures import TaskFigures

FAILS = {"is_error": True, "subtype": "error_during_execution", "result": ""}
SHOWN = {
    "type": "assistant",
    "message": {"id": "m2", "model": "stub", "content": [], "usage": {"input_tokens": 20}},
}


def test_a_task_that_is_tried_again_keeps_what_its_first_attempt_cost(
    stub_cpr: Cpr, stub: Stub
) -> None:
    stub.fifos("task")
    held = plan(raw=json.dumps(SHOWN), here="task", gate="task", result=FAILS, exit=1, mended={})
    session = stub_cpr.launch(prompts("first", held), "-j1")
    followed = FollowedSession(str(session.path))
    stub.await_here("task")
    session.wait_until(lambda: session[0].done() and session[1].running(), LIMIT_S, "both")
    followed.poll()
    assert followed.task_figures(1) == TaskFigures(20, 0.5, is_estimate=True), "10 tokens cost 0.25"
    assert (followed.figures.cost_usd, followed.figures.n_tokens) == (0.75, 35)
    stub.release("task")
    stub.await_here("task")
    stub.mend()
    session.wait_until(lambda: session[1].attempts == 2 and session[1].running(), LIMIT_S, "it")
    followed.poll()
    assert followed.task_figures(1) == TaskFigures(35, 0.75, is_estimate=True)
    stub.release("task")
    session.wait(LIMIT_S)
    followed.poll()
    assert followed.task_figures(1) == TaskFigures(30, 0.5)
    assert (followed.figures.cost_usd, followed.figures.n_tokens) == (0.75, 45)
    assert followed.figures.left_s is None
