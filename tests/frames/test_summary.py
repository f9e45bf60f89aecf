"""The summary of a session: groups of rows beside each other, with intervals that hold."""

from __future__ import annotations

import math
import sys
from typing import Any

import pandas as pd
import pytest
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.frames.row_metrics import TaskFacts, row_metric
from cpr_nb.frames.summary import summarize
from cpr_nb.model.decision import Decision, LevelDecision
from cpr_nb.stats.estimates import share_interval, skewed_interval
from cpr_nb.stats.metric_kinds import BOUNDED, SKEWED, Metric

LIMIT_S = 120.0
BAD = plan(result=None, exit=3)


def said(text: str, cost_usd: float = 0.25) -> str:
    return plan(result={"result": text, "total_cost_usd": cost_usd})


@pytest.fixture
def session(stubbed: None) -> cpr.Session:
    """Three rows, two models, two repeats; one row always fails."""
    df = pd.DataFrame(
        {"do": [said("four", 0.5), said("fourteen", 0.25), BAD], "repo": ["a", "b", "b"]},
        index=["good", "dear", "bad"],
    )
    vary = {"model": ["sonnet", "opus"]}
    return cpr.map("{do}", df, vary=vary, repeats=2, attempts=1).wait(LIMIT_S)


def test_repeats_are_averaged_before_rows_are_counted(session: cpr.Session) -> None:
    session.score(lambda row: 2 * row["repeat"] if row["ok"] else 0)
    table = session.summary(by="model")
    assert table.index.tolist() == ["sonnet", "opus"] and table.index.name == "model"
    row = table.loc["opus"]
    assert (row["n"], row["n_ended"], row["n_rows"]) == (6, 6, 3)
    expected = share_interval([1, 1, 0], [2, 2, 2])
    assert (row["ok"], row["ok_low"], row["ok_high"]) == expected[:3]
    assert row["score"] == 2  # of rows: 3, 3, 0
    assert row["score_sd"] == pytest.approx(math.sqrt(3))
    assert row["score_without_failures"] == 3
    half = 4.302653 * math.sqrt(3) / math.sqrt(3)
    assert row["score_low"] == pytest.approx(2 - half, abs=1e-5)
    assert table.attrs["n"] == 12 and table.attrs["n_rows"] == 3
    assert table.attrs["missing"] == {}
    assert "Wilson" in table.attrs["method"]["ok"] and "t on row" in table.attrs["method"]["score"]


def test_a_stated_range_makes_a_score_bounded(session: cpr.Session) -> None:
    session.score(lambda row: 4 if row["ok"] else None, minimum=0, maximum=5)
    row = session.summary(by="model").loc["opus"]
    found = share_interval([0.8, 0.8, 0], [2, 2, 2], is_share=False)
    assert row["score"] == pytest.approx(8 / 3)  # the failed row has the worst score
    assert row["score_low"] == pytest.approx(5 * found.low)
    assert row["score_high"] == pytest.approx(5 * found.high)
    session.score(lambda row: 7, minimum=0, maximum=5)
    with pytest.raises(cpr.InputError, match="score: 7 lies outside the range"):
        session.summary()
    with pytest.raises(cpr.InputError, match="minimum: takes both ends"):
        session.score(lambda row: 7, minimum=0)


def test_a_schema_states_the_range_of_its_fields(stubbed: None) -> None:
    field = {"type": "integer", "minimum": 1, "maximum": 5}
    schema = {"type": "object", "properties": {"stars": field}, "required": ["stars"]}
    rows = [
        plan(result={"structured_output": {"stars": stars}, "total_cost_usd": 0.1})
        for stars in (5, 4, 5)
    ]
    df = pd.DataFrame({"do": [*rows, BAD]})
    s = cpr.map("{do}", df, schema=schema, attempts=1).wait(LIMIT_S)
    row = s.summary(metric="stars").iloc[0]
    assert row["stars"] == pytest.approx((5 + 4 + 5 + 1) / 4)
    assert row["stars_without_failures"] == pytest.approx(14 / 3)
    assert row["stars_low"] >= 1 and row["stars_high"] <= 5
    with pytest.raises(cpr.InputError, match="metric: the results have no column 'star'"):
        s.summary(metric="star")


def test_rows_of_one_cluster_resemble_each_other(session: cpr.Session) -> None:
    table = session.summary(by="model", cluster="repo")
    row = table.loc["opus"]
    assert row["ok_df"] == pytest.approx(1.0, abs=0.2)
    assert row["uncertain"].startswith("ok, cost_usd, duration_s: few clusters carry it (1.")
    assert row["ok_high"] - row["ok_low"] > 0.8
    assert "CR2" in table.attrs["method"]["ok"]
    with pytest.raises(cpr.InputError, match="cluster: a row has both 1 and 2"):
        session.summary(cluster="repeat")
    with pytest.raises(cpr.InputError, match="cluster: the results have no column 'rep'"):
        session.summary(cluster="rep")


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


def facts(n: int, reasons: list[str | None] | None = None) -> TaskFacts:
    return TaskFacts(list(range(n)), reasons or ["completed"] * n)


def test_what_is_missing_is_a_group_and_what_never_came_is_none() -> None:
    kinds = pd.CategoricalDtype(["low", "medium", "high"])
    rows = table(("high", "succeeded", 1.0), (None, "failed", 2.0), ("low", "failed", 3.0))
    found = summarize(rows.astype({"g": kinds}), facts(3), "g", ())
    assert found.index.tolist()[:2] == ["low", "high"] and pd.isna(found.index[2])
    assert found["n"].tolist() == [1, 1, 1]


def test_lists_are_groups_beside_what_is_missing() -> None:
    rows = table((["x"], "failed", 1.0), (None, "failed", 2.0), (["x"], "failed", 3.0))
    found = summarize(rows, facts(3), "g", ())
    assert found.index.tolist()[0] == "['x']" and pd.isna(found.index[1])
    assert found["n"].tolist() == [2, 1]


def test_only_what_has_ended_is_compared() -> None:
    rows = table(("a", "succeeded", 0.0), ("a", "failed", 10.0), ("a", None, 99.0))
    out = summarize(rows, facts(3, ["completed", "max_turns", None]), None, ())
    row = out.iloc[0]
    assert (row["n"], row["n_ended"], row["n_rows"]) == (3, 2, 2)
    assert (row["ok"], row["cost_usd"]) == (0.5, 5.0)
    assert (row["ok_low"], row["ok_high"]) == share_interval([1, 0], [1, 1])[1:3]
    assert row["cost_usd_low"] == row["duration_s_low"] == 0  # less than nothing costs nothing
    assert out.attrs["missing"] == {"not ended": 1}


def test_what_the_machine_has_ended_is_missing_and_no_failure() -> None:
    rows = table(
        *[("a", "succeeded", 1.0)] * 2, *[("a", "failed", 1.0)] * 3, ("a", "skipped", None)
    )
    reasons = ["completed", "completed", "max_turns", "network", "rate_limit", "cancelled"]
    out = summarize(rows, facts(6, [*reasons]), None, ())
    row = out.iloc[0]
    assert row["ok"] == pytest.approx(2 / 3) and row["n_rows"] == 3
    assert out.attrs["missing"] == {"network": 1, "rate_limit": 1, "cancelled": 1}
    assert out.attrs["n"] == 3


def test_where_failures_decide_it_is_said() -> None:
    """Failures that cost a tenth pull the mean down."""
    costs = [1.0, 1.1, 0.9, 1.2] * 10
    rows = table(
        *[("a", "succeeded", cost) for cost in costs], *[("a", "failed", 0.1) for _ in costs]
    )
    reasons: list[str | None] = ["completed"] * 40 + ["max_turns"] * 40
    row = summarize(rows, facts(80, reasons), None, ()).iloc[0]
    assert row["cost_usd"] == pytest.approx(0.575)
    assert row["cost_usd_without_failures"] == pytest.approx(1.05)
    assert row["uncertain"] == "cost_usd, duration_s: depends on failures"
    assert row["cost_usd_high"] == skewed_interval([*costs, *[0.1] * 40]).high


def test_a_watched_figure_has_the_interval_of_the_decision() -> None:
    """An interval for one look says too much after a hundred of them."""
    rows = table(*[("sonnet", "succeeded", 1.0)] * 2, *[("opus", "failed", 1.0)] * 2)
    level = LevelDecision("opus", "worse", -1.0, -1.0, -0.1, 2, 0)
    decision = Decision("ok", "g", "sonnet", 0.05, None, "rows like these", 2, (level,))
    reasons: list[str | None] = ["completed"] * 2 + ["max_turns"] * 2
    known = TaskFacts([0, 1, 0, 1], reasons)
    out = summarize(rows, known, "g", (), decision=decision).loc[["sonnet", "opus"]]
    assert out["ok_low"].isna().all() and out["ok_high"].isna().all()
    assert out["ok"].tolist() == [1, 0] and out["cost_usd_low"].notna().all()
    difference = out.loc["opus", ["ok_difference", "ok_difference_low", "ok_difference_high"]]
    assert difference.tolist() == [-1.0, -1.0, -0.1]
    assert math.isnan(out.loc["sonnet", "ok_difference"])
    assert out["uncertain"].str.startswith("ok: watched while it ran").all()
    assert out.attrs["decision"] == str(decision)
    whole = summarize(rows, known, None, (), decision=decision)
    assert whole["ok_low"].isna().all() and "ok_difference" not in whole


def test_candidates_that_a_better_one_has_ended_say_nothing_of_one_candidate() -> None:
    rows = table(("a", "succeeded", 1.0), ("a", "cancelled", None))
    out = summarize(rows, TaskFacts([0, 0], ["completed", "not_needed"]), None, ())
    assert "s.pass_at_k()" in out["uncertain"].iloc[0]
    assert out.attrs["missing"] == {"not_needed": 1}


def test_prompts_of_a_launch_are_its_rows(stubbed: None) -> None:
    prompts = [said("x"), said("y"), said("x")]
    s = cpr.launch(prompts, repeats=3, vary={"effort": ["low", "high"]}).wait(LIMIT_S)
    out = s.summary()
    assert out["n"].tolist() == [9, 9] and out["n_rows"].tolist() == [3, 3]


def test_a_retry_is_about_the_same_row(session: cpr.Session) -> None:
    session.retry().wait(LIMIT_S)
    assert session.summary()["n_rows"].tolist() == [3, 3]


@pytest.mark.parametrize("is_map", [True, False], ids=["map", "launch"])
def test_in_a_retry_repeats_are_still_of_one_row(stubbed: None, is_map: bool) -> None:
    vary = {"effort": ["low", "high"]}
    first = (
        cpr.map("{n}", pd.DataFrame({"n": ["x", "y"]}, index=["i", "j"]), vary=vary, repeats=3)
        if is_map
        else cpr.launch(["x", "y"], vary=vary, repeats=3)
    )
    again = first.wait(LIMIT_S).retry(all_tasks=True).wait(LIMIT_S)
    out = again.summary()
    assert out["n"].tolist() == [6, 6] and out["n_rows"].tolist() == [2, 2]
    assert again.compare().table["n_pairs"].tolist() == [2]
    assert again.results_df().index.tolist() == first.results_df().index.tolist()


def test_one_figure_has_no_interval(stubbed: None) -> None:
    row = cpr.launch(["a"]).wait(LIMIT_S).summary().iloc[0]
    assert row["cost_usd"] == 0.25 and row["duration_s"] > 0 and row["ok"] == 1
    for name in ("ok_low", "cost_usd_low", "cost_usd_high", "duration_s_low", "duration_s_high"):
        assert math.isnan(row[name])
    assert row["uncertain"] == "ok, cost_usd, duration_s: one row"


def test_without_scipy_there_are_means_and_it_says_so(
    session: cpr.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.warns(UserWarning, match=r"pip install 'cpr_nb\[stats\]'") as caught:
        out = session.summary(by="model")
    assert caught[0].filename == __file__
    assert out["ok"].tolist() == [pytest.approx(2 / 3)] * 2
    assert out["cost_usd_low"].isna().all() and out["ok_high"].isna().all()
    assert "pip install" in out.attrs["method"]


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


def test_grades_are_scores_of_a_known_range(session: cpr.Session) -> None:
    """Also under the name that they get beside another score."""
    session.score(lambda row: 0.5 if row["ok"] else None, name="grade_score", minimum=0, maximum=1)
    out = session.summary(by="model", metric="cost_usd")
    assert out["grade_score"].tolist() == [pytest.approx(1 / 3)] * 2
    assert out.columns.tolist().count("cost_usd") == 1


def test_a_table_without_rows_has_a_summary_without_groups() -> None:
    empty = table(("a", "failed", 1.0))[:0]
    assert len(summarize(empty, facts(0, []), "g", ())) == 0
    assert summarize(empty, facts(0, []), None, ())["n"].tolist() == [0]


def test_without_factors_there_is_one_group(stubbed: None) -> None:
    table = cpr.launch(["a", BAD], attempts=1).wait(LIMIT_S).summary()
    assert table["n"].tolist() == [2] and table["ok"].tolist() == [0.5]


def test_rows_without_a_number_are_known_with_their_reason() -> None:
    rows = table(("a", "succeeded", 1.0), ("a", "failed", None), ("a", "failed", 2.0))
    out = rows.assign(stars=[3, None, None])
    metric = Metric("stars", BOUNDED, 0, 5)
    found = row_metric(
        out, facts(3, ["completed", "max_turns", "network"]), metric, {"a": [0, 1, 2]}
    )
    assert found.counted["a"].means.tolist() == [3, 0]
    assert found.counted["a"].missing == {2: "network"}
    assert found.succeeded["a"].missing == {1: "failed", 2: "network"}
    assert found.counted["a"].n_tasks == 3
    costs = row_metric(out, facts(3), Metric("cost_usd", SKEWED, 0), {"a": [0, 1, 2]})
    assert costs.counted["a"].rows.tolist() == [0, 2]
    assert costs.counted["a"].left_out == {"failed, no cost_usd": 1}
