"""Scores of tasks that run on nodes: the function is called beside the runner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testkit.command import LIMIT_S
from testkit.node_agents import NodeAgents, status_of
from testkit.stub import plan

import cpr_nb as cpr

MODULE = """
def points(given):
    assert given["folder"] is None, "no folder of this machine was its"
    return len(given["answer"])
"""


def test_the_runner_scores_what_nodes_have_answered(
    in_env: Callable[[dict[str, str]], None],
    stub_env: dict[str, str],
    work: Path,
    nodes: NodeAgents,
) -> None:
    in_env(stub_env)
    (work / "scoring.py").write_text(MODULE)
    texts = [plan(result={"result": answer}) for answer in ("a", "bb", "ccc")]
    session = cpr.launch(texts, score="scoring:points", executor="agents")
    nodes.join(session, "n1", slots=2)
    table = session.wait(LIMIT_S).results_df()
    assert table["score"].tolist() == [1.0, 2.0, 3.0], table.get("score_error")
    assert {task["node"] for task in status_of(session)["tasks"]} == {"n1"}
    nodes.await_left(session)
