"""Levels compared in a session that may stop early, and on rows of clusters."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from frames.compared_levels import COST, OK, SCORE, compared, results_of, text_of
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.frames.level_pairs import compare_results, comparison_table
from cpr_nb.model.decision import Decision, LevelDecision
from cpr_nb.stats.comparison import LevelComparison
from cpr_nb.stats.metric_kinds import UNBOUNDED, Metric

LIMIT_S = 120.0


def decision_of(over: str, verdict: str | None, metric: str = "score") -> Decision:
    level = LevelDecision("b", verdict, 6.0, 0.5, 11.2, 30, 1)
    return Decision(metric, "model", "a", 0.05, None, over, 50, (level,))


def decided_by(decision: Decision, **levels: list[Any]) -> LevelComparison:
    """What is compared where the rows were drawn from the last one to the first."""
    results, facts = results_of(**levels)
    order = [2 * row + level for row in reversed(range(len(levels["a"]))) for level in (0, 1)]
    return compare_results(results, facts, "model", "a", SCORE, decision, order)


@pytest.mark.parametrize(
    "metric", [OK, SCORE, COST, Metric("score", UNBOUNDED)], ids=lambda one: one.kind
)
def test_rows_of_one_cluster_are_no_independent_pairs(metric: Metric) -> None:
    results, facts = results_of(a=[50.0] * 16 + [70.0] * 16, b=[50.0] * 16 + [75.0] * 16)
    results["cost_usd"] += results["score"] / 100 * (results["model"] == "b")
    results["repo"] = [f"r{row // 4}" for row in facts.rows]
    given = (results, facts, "model", "a", metric)
    alone, in_repos = (compare_results(*given, cluster=name) for name in (None, "repo"))
    one, other = (found.levels[0].difference for found in (alone, in_repos))
    assert other.value == one.value and other.n_pairs == one.n_pairs == 32
    assert other.high - other.low > 1.5 * (one.high - one.low)
    assert in_repos.cluster == "repo" and "Rows of one repo resemble" in text_of(in_repos)
    assert comparison_table(in_repos, "").attrs["cluster"] == "repo"


def test_one_cluster_or_none_has_no_range() -> None:
    results, facts = results_of(a=[50.0] * 4, b=[60.0] * 4)
    results["repo"] = "r"
    for metric in (OK, SCORE, COST):
        found = compare_results(results, facts, "model", "a", metric, cluster="repo").levels[0]
        assert math.isnan(found.difference.low) and found.difference.uncertain == "one cluster"
    results["repo"] = range(8)
    with pytest.raises(cpr.InputError, match="cluster: a row has both"):
        compare_results(results, facts, "model", "a", OK, cluster="repo")
    decision = decision_of("rows like these", "better")
    results["repo"] = "r"
    with pytest.raises(cpr.InputError, match="cluster: stop_when takes rows for independent"):
        compare_results(results, facts, "model", "a", SCORE, decision, cluster="repo")


def test_a_session_that_may_stop_early_has_the_range_of_every_look() -> None:
    decision = decision_of("rows like these", "better")
    decided = decided_by(decision, a=[50.0] * 40, b=[60.0] * 40)
    level = decided.levels[0]
    assert level.difference[:3] == (6.0, 0.5, 11.2) and level.difference.n_pairs == 30
    assert level.verdict == "better" and level.is_sequence and math.isnan(level.p_value)
    text = text_of(decided, "on rows like these")
    assert "6.0 points higher than a (0.5 to 11.2) on rows like these, at 1.0 times" in text
    assert "valid at every look" in text and "Newcombe" not in text
    assert " p score " not in text
    assert " p score " in text_of(compared(SCORE, a=[50.0] * 40, b=[60.0, 61.0] * 20))


def test_only_the_rows_that_entered_the_decision_are_in_its_figures() -> None:
    b = [0.0] * 10 + [60.0] * 30  # the rows that were drawn last are others
    decided = decided_by(decision_of("rows like these", "better"), a=[50.0] * 40, b=b)
    level = decided.levels[0]
    assert level.counts == (30, 0, 0) and level.mean == 60.0 and level.cost_usd == 30.0
    assert level.n_later == 10
    assert "10 pairs that ended later not in it" in text_of(decided)


def test_an_open_decision_is_not_shown_whatever_a_single_look_would_say() -> None:
    a, b = [50.0] * 40, [60.0, 61.0] * 20
    assert compared(SCORE, a=a, b=b).levels[0].verdict == "better"
    decision = decision_of("rows like these", None)
    assert decided_by(decision, a=a, b=b).levels[0].verdict == "not_shown"


@pytest.mark.parametrize("over", ["rows like these", "this table"])
def test_with_another_baseline_the_ranges_of_a_decision_still_hold(over: str) -> None:
    results, facts = results_of(a=[50.0] * 40, b=[60.0] * 40, c=[52.0] * 40)
    levels = [LevelDecision("b", "better", 10.0, 6.0, 14.0, 30, 0)]
    levels += [LevelDecision("c", None, 2.0, -1.0, 5.0, 40, 0)]
    decision = Decision("score", "model", "a", 0.05, None, over, 50, tuple(levels))
    given = (results, facts, "model", "b", SCORE)
    found = {one.level: one for one in compare_results(*given, decision, range(120)).levels}
    assert found["a"].difference[:3] == (-10, -14, -6) and found["a"].verdict == "worse"
    assert found["c"].difference[:3] == (-8, -15, -1) and found["c"].verdict == "worse"
    assert all(one.is_sequence and one.difference.n_pairs == 30 for one in found.values())
    levels[1] = levels[1]._replace(n_lost=1)
    about_others = compare_results(*given, decision._replace(levels=tuple(levels)), range(120))
    assert about_others.levels[0].is_sequence is (over == "rows like these")


def test_a_decision_about_something_else_changes_nothing() -> None:
    a, b = [50.0] * 40, [60.0] * 40
    decision = decision_of("rows like these", "worse", "ok")
    assert decided_by(decision, a=a, b=b) == compared(SCORE, a=a, b=b)


def test_the_comparison_of_a_session_that_stopped_early_agrees_with_its_decision(
    stubbed: None,
) -> None:
    vary = {"do": [plan(result={"is_error": True}, exit=1), plan()]}
    frame = pd.DataFrame({"n": range(24)})
    options: dict[str, Any] = {"vary": vary, "attempts": 1, "max_parallel": 2}
    session = cpr.map("{do} {n}", frame, stop_when="decided", **options).wait(LIMIT_S)
    assert session.decision is not None
    (decided,) = session.decision.levels
    comparison = session.compare()
    row = comparison.table.iloc[0]
    assert (row["difference_low"], row["difference_high"]) == (decided.low, decided.high)
    assert row["n_pairs"] == decided.n_pairs < 24 and row["verdict"] == "better"
    assert row["n_more"] == decided.n_pairs and row["difference"] == decided.difference == 1
    assert math.isnan(row["p_value"]) and "on rows like these" in comparison.sentence
    shown = " ".join(str(comparison).split())
    assert "tasks missing, not failures:" in shown and " decided" in shown
    mirrored = session.compare(baseline=vary["do"][1]).table.iloc[0]
    ends = mirrored["difference_low"], mirrored["difference"], mirrored["difference_high"]
    assert ends == (-decided.high, -1, -decided.low) and mirrored["verdict"] == "worse"
    assert mirrored["n_pairs"] == decided.n_pairs
    assert "may stop early, by ok against" in str(session.compare(metric="cost_usd"))
