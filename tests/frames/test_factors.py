"""Experiments: vary, repeats, score."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr

LIMIT_S = 120.0
BAD = plan(result=None, exit=3)


def said(text: str, cost_usd: float = 0.25) -> str:
    return plan(result={"result": text, "total_cost_usd": cost_usd})


@pytest.fixture
def session(stubbed: None) -> cpr.Session:
    """Two rows, two models, two repeats; one row always fails."""
    df = pd.DataFrame({"do": [said("four", 0.5), BAD]}, index=["good", "bad"])
    vary = {"model": ["sonnet", "opus"]}
    return cpr.map("{do}", df, vary=vary, repeats=2, attempts=1).wait(LIMIT_S)


def test_each_row_is_there_for_each_combination(session: cpr.Session, stub: Stub) -> None:
    out = session.results_df()
    assert out.index.tolist() == ["good"] * 4 + ["bad"] * 4
    assert out["model"].tolist() == ["sonnet", "sonnet", "opus", "opus"] * 2
    assert out["repeat"].tolist() == [1, 2] * 4
    assert out["model"].cat.categories.tolist() == ["sonnet", "opus"]
    models = [call["argv"][call["argv"].index("--model") + 1] for call in stub.calls().values()]
    assert sorted(models) == ["opus"] * 4 + ["sonnet"] * 4
    again = cpr.attach(session.id).results_df()
    pd.testing.assert_frame_equal(again, out)


def test_the_tasks_table_has_the_factors_too(session: cpr.Session) -> None:
    table = session.tasks_df()
    assert list(table.columns[:4]) == ["task_num", "prompt", "model", "repeat"]
    assert list(table.columns[-2:]) == ["session_id", "task_id"]
    assert table.groupby("model", observed=True)["cost_usd"].sum().tolist() == [1.0, 1.0]
    assert len(session.tasks_df(states="failed")) == 4
    assert session.tasks_df(states="failed")["repeat"].tolist() == [1, 2, 1, 2]
    full = session.tasks_df(full=True)
    assert full["model_used"].tolist() == ["stub"] * 8
    _, problems = session.tasks_df(strict=False)
    assert problems == []


def test_a_retry_keeps_the_factors(session: cpr.Session) -> None:
    again = session.retry().wait(LIMIT_S)
    assert again.results_df()["model"].tolist() == ["sonnet", "sonnet", "opus", "opus"]
    assert (
        session.retry(model="haiku").wait(LIMIT_S).results_df()["model"].tolist() == ["haiku"] * 4
    )


def test_a_launch_varies_too(stubbed: None, stub: Stub) -> None:
    vary = {"effort": ["low", "high"], "allow": [["Bash(a)"], ["Bash(b)"]]}
    session = cpr.launch(["p", {"prompt": "q", "id": "mine"}], vary=vary).wait(LIMIT_S)
    out = session.results_df()
    assert out["effort"].tolist() == ["low", "low", "high", "high"] * 2
    assert out["allow"].tolist() == [["Bash(a)"], ["Bash(b)"]] * 4
    assert out["task_id"].tolist()[4:] == ["mine-1", "mine-2", "mine-3", "mine-4"]
    argv = stub.calls()["mine-3"]["argv"]
    assert "--allowedTools=Bash(a)" in argv and argv[argv.index("--effort") + 1] == "high"


def test_types_vary_in_a_launch(stubbed: None) -> None:
    session = cpr.launch(["p"], vary={"schema": [{"n": int}]}, attempts=1).wait(LIMIT_S)
    assert session.results_df()["schema"].tolist() == [{"n": "int"}]


def test_a_place_of_the_template_varies_too(stubbed: None, stub: Stub) -> None:
    df = pd.DataFrame({"x": [1]})
    session = cpr.map("{x} {tone}", df, vary={"tone": ["dry", "warm"]}).wait(LIMIT_S)
    assert session.results_df()["tone"].tolist() == ["dry", "warm"]
    assert sorted(call["stdin"] for call in stub.calls().values()) == ["1 dry", "1 warm"]


@pytest.mark.parametrize(
    ("prompts", "options", "words"),
    [
        (["a"], {"vary": {"tone": ["dry"]}}, "vary: unknown option 'tone'"),
        ([{"prompt": "a", "model": "x"}], {"vary": {"model": ["y"]}}, "has its own model"),
        (["a"], {"vary": ["model"]}, "vary: must be a mapping"),
        (["a"], {"repeats": True}, "repeats: must be a whole number"),
        (["a"], {"vary": {"prompt": ["x"]}}, "can't be a factor"),
        (["a"], {"vary": {"my tone": ["x"]}}, "can't be a factor"),
        ("text", {"repeats": 2}, "prompts: must be a list"),
        ([3], {"repeats": 2}, r"prompts\[0\].prompt: must be a text"),
    ],
)
def test_mistakes_of_a_launch(
    stubbed: None, prompts: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.launch(prompts, **options)
    assert len(cpr.sessions_df()) == 0


# -- score ------------------------------------------------------------------------------------


def test_a_score_is_a_column_and_its_errors_are_another(session: cpr.Session) -> None:
    calls: list[str] = []

    def length(row: pd.Series[Any]) -> int:
        calls.append(row["task_id"])
        if row["repeat"] == 2:
            raise ValueError("no second")
        return len(row["result"]) if row["ok"] else 0

    out = session.score(length)
    assert out["score"].tolist() == [4, pd.NA, 4, pd.NA, 0, pd.NA, 0, pd.NA]
    assert out["score_error"].tolist()[:2] == [pd.NA, "ValueError: no second"]
    assert str(out["score"].dtype) == "Int64"
    pd.testing.assert_frame_equal(session.results_df(), out)
    assert len(calls) == 8  # once a row


def test_what_has_not_ended_is_not_scored(stubbed: None, stub: Stub) -> None:
    stub.fifos("held")
    session = cpr.launch(["quick", plan(here="held", gate="held")], max_parallel=2)
    stub.await_here("held")
    session.wait_until(session[0].done, LIMIT_S, "the quick one")
    assert session.score(lambda row: 1.5)["score"].tolist() == [1.5, pd.NA]
    stub.release("held")
    assert session.wait(LIMIT_S).results_df()["score"].tolist() == [1.5, 1.5]


def test_a_score_needs_a_name_of_its_own(session: cpr.Session) -> None:
    with pytest.raises(cpr.InputError, match="have a column 'model' of their own"):
        session.score(lambda row: 1, name="model")
    assert "model_error" not in session.results_df()
    df = pd.DataFrame({"n": [1], "score_error": [2]})
    with pytest.raises(cpr.InputError, match="have a column 'score_error' of their own"):
        cpr.map("{n}", df).wait(LIMIT_S).score(len)


def test_a_score_leaves_the_row_as_it_was(stubbed: None) -> None:
    session = cpr.map("{n}", pd.DataFrame({"n": [1, 2], "t": ["a", "b"]})).wait(LIMIT_S)

    def spoil(row: pd.Series[Any]) -> int:
        row["n"] = 9
        return 1

    assert session.score(spoil)["n"].tolist() == [1, 2]
    assert session.results_df()["n"].tolist() == [1, 2]
