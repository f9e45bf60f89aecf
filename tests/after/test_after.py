"""Sessions that are planned to come after others: with a stand-in for the CLI."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
SCHEMA = {"score": int, "reason": str}


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def rated(score: int, reason: str = "so", gate: str = "") -> str:
    answer = {"structured_output": {"score": score, "reason": reason}}
    return plan(result=answer, **({"here": gate, "gate": gate} if gate else {}))


def held_input(stub: Stub) -> cpr.Session:
    """Three rows with a score; the last one ends when the test releases it."""
    stub.fifos("held")
    df = pd.DataFrame({"path": ["a", "b", "c"]})
    df["do"] = [rated(1, "bad"), rated(5, "good"), rated(2, "poor", "held")]
    first = cpr.map("Rate {path}. {do}", df, schema=SCHEMA, max_parallel=3)
    stub.await_here("held")
    return first


def test_the_rows_that_fit_run_when_the_input_has_ended(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("Fix {path}: {reason}", after=first.where("score < 3"))
    assert second.state == "planned" and len(second) == 0
    assert list(second.results_df().columns)[:4] == ["path", "do", "score", "reason"]
    stub.release("held")
    second.wait(LIMIT_S)
    assert [task.prompt for task in second] == ["Fix a: bad", "Fix c: poor"]
    out = second.results_df()
    assert out["path"].tolist() == ["a", "c"] and out["score"].tolist() == [1, 2]
    assert out["result"].tolist() == ["done", "done"]
    assert len(stub.calls()) == 5
