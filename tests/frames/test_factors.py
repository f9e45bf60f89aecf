"""Experiments: vary, repeats, score, summary."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.frames.summary import summarize, t_quantile, wilson

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


# -- summary ----------------------------------------------------------------------------------


def test_a_summary_compares_the_groups(session: cpr.Session) -> None:
    session.score(lambda row: 2 * row["repeat"] if row["ok"] else 0)
    table = session.summary(by="model")
    assert table.index.tolist() == ["sonnet", "opus"] and table.index.name == "model"
    row = table.loc["opus"]
    assert (row["n"], row["n_ended"], row["ok"]) == (4, 4, 0.5)
    assert (row["ok_low"], row["ok_high"]) == wilson(2, 4)
    assert row["score"] == 1.5  # 2, 4, 0, 0
    assert row["score_sd"] == pytest.approx(math.sqrt(11 / 3))
    half = t_quantile(3) * math.sqrt(11 / 3) / 2
    assert row["score_low"] == pytest.approx(1.5 - half)
    assert row["cost_usd"] == 0.5 and row["cost_usd_low"] == row["cost_usd_high"] == 0.5
    assert row["duration_s_low"] <= row["duration_s"] <= row["duration_s_high"]


def test_the_groups_are_those_that_are_asked_for(session: cpr.Session) -> None:
    assert session.summary().index.tolist() == ["sonnet", "opus"]
    both = session.summary(by=["ok", "model"])
    assert both.index.tolist() == [
        (False, "sonnet"),
        (False, "opus"),
        (True, "sonnet"),
        (True, "opus"),
    ]
    with pytest.raises(cpr.InputError, match="by: the results have no column 'modle'; they have"):
        session.summary(by="modle")


def test_groups_are_made_of_anything(stubbed: None) -> None:
    df = pd.DataFrame({"do": ["a", "b"], "tags": [["x"], ["x"]], 0: [1, 2]}, index=["u", "v"])
    session = cpr.map("{do}", df.rename_axis("file"), vary={"allow": [["A"], ["B"]]})
    session.wait(LIMIT_S)
    assert session.summary().index.tolist() == ["['A']", "['B']"]
    assert session.summary(by="tags")["n"].tolist() == [4]
    assert session.summary(by=0)["n"].tolist() == [2, 2]
    assert session.summary(by="file").index.tolist() == ["u", "v"]
    assert session.summary(by={"file"}).index.name == "file"
    twice = session.summary(by=["file", "file"])
    assert twice.index.tolist() == ["u", "v"]
    with pytest.raises(cpr.InputError, match=r"no column 'nope'; they have .*, file$"):
        session.summary(by="nope")


def table(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Results: group, outcome, cost."""
    made = pd.DataFrame(rows, columns=["g", "outcome", "cost_usd"])
    ok = (made["outcome"] == "succeeded").astype("boolean").mask(made["outcome"].isna())
    return made.assign(ok=ok, duration_s=made["cost_usd"])


def test_what_is_missing_is_a_group_and_what_never_came_is_none() -> None:
    kinds = pd.CategoricalDtype(["low", "medium", "high"])
    rows = table(("high", "succeeded", 1.0), (None, "failed", 2.0), ("low", "failed", 3.0))
    found = summarize(rows.astype({"g": kinds}), "g", (), None)
    assert found.index.tolist()[:2] == ["low", "high"] and pd.isna(found.index[2])
    assert found["n"].tolist() == [1, 1, 1]


def test_lists_are_groups_beside_what_is_missing() -> None:
    rows = table((["x"], "failed", 1.0), (None, "failed", 2.0), (["x"], "failed", 3.0))
    found = summarize(rows, "g", (), None)
    assert found.index.tolist()[0] == "['x']" and pd.isna(found.index[1])
    assert found["n"].tolist() == [2, 1]


def test_only_what_has_ended_is_compared() -> None:
    rows = table(("a", "succeeded", 0.0), ("a", "failed", 10.0), ("a", None, 99.0))
    row = summarize(rows, None, (), None).iloc[0]
    assert (row["n"], row["n_ended"], row["ok"], row["cost_usd"]) == (3, 2, 0.5, 5.0)
    assert (row["ok_low"], row["ok_high"]) == wilson(1, 2)
    assert row["cost_usd_low"] == row["duration_s_low"] == 0  # less than nothing costs nothing


def test_one_figure_has_no_interval(stubbed: None) -> None:
    row = cpr.launch(["a"]).wait(LIMIT_S).summary().iloc[0]
    assert row["cost_usd"] == 0.25 and row["duration_s"] > 0
    for name in ("cost_usd_low", "cost_usd_high", "duration_s_low", "duration_s_high"):
        assert math.isnan(row[name])


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([True, False], 0.5),
        (["1", "x"], 1.0),
        ([pd.Timestamp(0), pd.Timestamp(1)], math.nan),
        ([pd.Timedelta(1), pd.Timedelta(2)], math.nan),
        ([1j, 2j], math.nan),
        ([[1], [2]], math.nan),
        ([math.inf, 1.0], math.inf),
        ([math.inf, -math.inf], math.nan),
        ([1e200, -1e200], 0.0),
        ([1.7e308, 1.7e308], math.inf),
        ([None, 3], 3.0),
        ([pd.Series([1]), 3], 3.0),
    ],
)
def test_scores_of_any_kind(stubbed: None, scores: list[Any], mean: float) -> None:
    session = cpr.launch(["a", "b"]).wait(LIMIT_S)
    left = iter(scores)
    out = session.score(lambda row: next(left))
    assert len(out["score"]) == 2 and out["score_error"].isna().all()
    found = session.summary()["score"].iloc[0]
    assert found == mean or (math.isnan(found) and math.isnan(mean))


def test_a_score_leaves_the_row_as_it_was(stubbed: None) -> None:
    session = cpr.map("{n}", pd.DataFrame({"n": [1, 2], "t": ["a", "b"]})).wait(LIMIT_S)

    def spoil(row: pd.Series[Any]) -> int:
        row["n"] = 9
        return 1

    assert session.score(spoil)["n"].tolist() == [1, 2]
    assert session.results_df()["n"].tolist() == [1, 2]


def test_without_factors_there_is_one_group(stubbed: None) -> None:
    table = cpr.launch(["a", BAD], attempts=1).wait(LIMIT_S).summary()
    assert table["n"].tolist() == [2] and table["ok"].tolist() == [0.5]


@example(0, 10)
@example(13, 0)
@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_of_a_share_holds_it(good: int, bad: int) -> None:
    low, high = wilson(good, good + bad)
    if good + bad:
        assert 0 <= low <= good / (good + bad) <= high <= 1
        assert low < high
    else:
        assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize(  # published tables of Student's t, two-sided 95 %
    ("n_free", "value"),
    [
        *((1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (5, 2.57058), (6, 2.44691)),
        *((8, 2.30600), (10, 2.22814), (15, 2.13145), (20, 2.08596), (30, 2.04227)),
        *((60, 2.00030), (120, 1.97993), (1000, 1.96234)),
    ],
)
def test_the_quantile_is_that_of_the_tables(n_free: int, value: float) -> None:
    assert t_quantile(n_free) == pytest.approx(value, abs=2e-5)
