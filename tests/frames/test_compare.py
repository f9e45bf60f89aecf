"""Levels compared with a baseline on the rows of sessions, which the stub has run."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.display.decisions.comparison_output import Comparison, comparison_parts
from cpr_nb.frames.level_pairs import compare_results, comparison_table
from cpr_nb.frames.row_metrics import TaskFacts
from cpr_nb.model.decision import Decision, LevelDecision
from cpr_nb.stats import pairs
from cpr_nb.stats.comparison import LevelComparison
from cpr_nb.stats.metric_kinds import BOUNDED, SHARE, SKEWED, UNBOUNDED, Metric

LIMIT_S = 120.0
N = 12
#: Scores of each row under both levels.
SCORES = {
    "sonnet": [70, 71, 60, 80, 66, 75, 69, 72, 74, 68, 77, 65],
    "opus": [78, 80, 72, 85, 77, 81, 80, 80, 83, 77, 88, 72],
}
OK = Metric("ok", SHARE, 0.0, 1.0)
SCORE = Metric("score", BOUNDED, 0.0, 100.0)
COST = Metric("cost_usd", SKEWED, 0.0)


# -- of a session --------------------------------------------------------------------------------


def said(text: object, cost_usd: float, **more: Any) -> str:
    return plan(result={"result": str(text), "total_cost_usd": cost_usd, **more}, exit=bool(more))


@pytest.fixture
def session(stubbed: None) -> cpr.Session:
    """Twelve rows; opus scores more, costs three times as much, and fails on row 3."""
    frame = pd.DataFrame(
        {
            "sonnet": [said(score, 0.1) for score in SCORES["sonnet"]],
            "opus": [said(score, 0.3) for score in SCORES["opus"]],
        }
    )
    frame.loc[3, "opus"] = said("no", 0.3, is_error=True)
    vary = {"tone": ["sonnet", "opus"]}
    session = cpr.map(lambda row: row[row["tone"]], frame, vary=vary, attempts=1).wait(LIMIT_S)
    session.score(lambda row: float(row["result"]) if row["ok"] else None, minimum=0, maximum=100)
    return session


def test_a_score_is_compared_on_the_rows_of_both(session: cpr.Session) -> None:
    found = session.compare(by="tone", baseline="sonnet")
    row = found.table.loc["opus"]
    base, counted = np.array(SCORES["sonnet"], float), np.array(SCORES["opus"], float)
    counted[3] = 0  # a failure counts as the worst score
    once = [1] * N
    expected = pairs.share_difference(base / 100, once, counted / 100, once, is_share=False)
    assert row["difference"] == pytest.approx((counted - base).mean())
    assert row["difference_low"] == pytest.approx(100 * expected.low)
    assert row["difference_high"] == pytest.approx(100 * expected.high)
    assert row["p_value"] == pytest.approx(expected.p_value)
    without = np.delete(counted - base, 3).mean()
    assert row["difference_without_failures"] == pytest.approx(without)
    assert (row["n_pairs"], row["n_more"], row["n_same"], row["n_less"]) == (N, 11, 0, 1)
    assert row["cost_ratio"] == pytest.approx(3.0)
    assert row["verdict"] == "depends_on_failures"
    assert "depends on how failures count" in found.sentence
    assert found.table.attrs["baseline"] == "sonnet" and "Newcombe" in found.table.attrs["method"]


def test_it_is_shown_by_a_notebook_a_terminal_and_a_file(
    session: cpr.Session, tmp_path: Path
) -> None:
    found = session.compare()
    assert "opus" in str(found) and found.sentence.split()[0] in repr(found)
    bundle = found._repr_mimebundle_()
    assert "<svg" in bundle["text/html"] and bundle["text/plain"] == str(found)
    page = found.save(tmp_path / "comparison.html").read_text("utf-8")
    assert "<h1>score by tone</h1>" in page
    found.plot().save(tmp_path / "comparison.svg")
    assert (tmp_path / "comparison.svg").read_text("utf-8").startswith("<svg")


def test_costs_have_two_figures(session: cpr.Session) -> None:
    row = session.compare(metric="cost_usd").table.loc["opus"]
    assert row["ratio"] == pytest.approx(3.0) and row["typical_ratio"] == pytest.approx(3.0)
    assert row["verdict"] == "worse"  # it costs more
    assert "cost_ratio" not in session.compare(metric="cost_usd").table


def test_success_needs_no_score(session: cpr.Session) -> None:
    table = session.compare(by="tone", baseline="opus", metric="ok").table
    row = table.loc["sonnet"]
    assert row["difference"] == pytest.approx(1 / N) and row["verdict"] == "not_shown"
    assert "difference_without_failures" not in table  # it would always be 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"by": "modle"}, "by: the results have no column 'modle'; they have tone, sonnet"),
        ({"by": ["tone", "ok"]}, "by: takes the name of one factor"),
        ({"baseline": "haiku"}, "baseline: tone has no level 'haiku'; it has 'sonnet', 'opus'"),
        ({"metric": "scoer"}, "metric: the results have no column 'scoer'"),
        ({"metric": "tone"}, "metric: 'tone' has no numbers"),
        ({"by": "sonnet"}, r"by: no row was run under both .* summary\(by='sonnet'\)"),
    ],
    ids=["no-column", "several", "no-level", "no-metric", "no-numbers", "no-pairs"],
)
def test_mistakes_say_what_to_do(
    session: cpr.Session, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(cpr.InputError, match=words):
        session.compare(**arguments)


def test_without_factors_there_is_nothing_to_compare(stubbed: None) -> None:
    session = cpr.launch(["a", "b"]).wait(LIMIT_S)
    with pytest.raises(cpr.InputError, match="by: name the factor"):
        session.compare()
    one = cpr.launch(["a"], vary={"model": ["opus"]}).wait(LIMIT_S)
    with pytest.raises(cpr.InputError, match="model has only the level 'opus'"):
        one.compare()


def test_a_table_without_rows_has_nothing_to_compare(session: cpr.Session) -> None:
    out = session.results_df()
    nothing = out[out["outcome"] == "none"].cpr.retry()  # type: ignore[operator]
    assert "nothing to compare" in str(nothing.compare(by="tone"))
    with pytest.raises(cpr.InputError, match="has no picture"):
        nothing.compare().plot()


def test_what_has_not_ended_is_missing_and_said(stubbed: None, stub: Stub) -> None:
    stub.fifos("held")
    prompts = ["quick", plan(here="held", gate="held")]
    frame = pd.DataFrame({"a": prompts, "b": ["quick", "quick"]})
    session = cpr.map(
        lambda row: row[row["tone"]], frame, vary={"tone": ["a", "b"]}, max_parallel=2
    )
    stub.await_here("held")
    others = [task for task in session if "held" not in task.prompt]
    session.wait_until(lambda: all(t.done() for t in others), LIMIT_S, "the others")
    found = session.compare()
    assert "1 not ended" in " ".join(str(found).split()) and found.table["n_pairs"].tolist() == [1]
    stub.release("held")
    assert session.wait(LIMIT_S).compare().table["n_pairs"].tolist() == [2]


# -- of tables -----------------------------------------------------------------------------------


def results_of(**levels: list[Any]) -> tuple[pd.DataFrame, TaskFacts]:
    """Results of levels: what each row has there; a text is the reason of a failure."""
    rows, numbers, reasons = [], [], []
    for number in range(len(next(iter(levels.values())))):
        for level, values in levels.items():
            value = values[number]
            is_ok = not isinstance(value, str)
            outcome = "succeeded" if is_ok else None if value == "" else "failed"
            score = float(value) if is_ok else math.nan
            rows.append({"model": level, "outcome": outcome, "score": score, "cost_usd": 1.0})
            numbers.append(number)
            reasons.append("completed" if is_ok else value or None)
    frame = pd.DataFrame(rows)
    frame["model"] = pd.Categorical(frame["model"], categories=list(levels))
    frame["ok"] = frame["outcome"] == "succeeded"
    return frame, TaskFacts(numbers, reasons)


def compared(metric: Metric, baseline: str | None = None, **levels: list[Any]) -> LevelComparison:
    results, facts = results_of(**levels)
    return compare_results(results, facts, "model", baseline, metric)


def text_of(found: LevelComparison, scope: str = "") -> str:
    parts = comparison_parts(found, scope)
    shown = str(Comparison(parts, "title", comparison_table(found, parts.method)))
    return " ".join(shown.split())


def test_the_exact_values_of_the_method() -> None:
    a = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, *["max_turns"] * 6]
    found = compared(OK, a=a, b=a).levels[0].difference
    assert found.low == pytest.approx(-0.140279, abs=1e-6)
    assert found.high == pytest.approx(0.140279, abs=1e-6)


def test_rows_lost_to_the_network_leave_the_pairs_and_are_counted() -> None:
    a, b = [80.0, 70, 60, 90, 75], [85.0, "overloaded", "network", "max_turns", ""]
    found = compared(SCORE, a=a, b=b)
    level = found.levels[0]
    assert level.difference.n_pairs == 2 and level.n_unpaired == 3
    assert level.difference.value == pytest.approx((5 - 90) / 2)  # the failure counts as 0
    assert level.succeeded is not None and level.succeeded.value == pytest.approx(5)
    assert dict(found.left_out) == {"overloaded": 1, "network": 1, "not ended": 1}
    text = text_of(found)
    assert "3 tasks missing, not failures: 1 overloaded, 1 network, 1 not ended" in text
    assert "3 rows under only one of them left out" in text


def test_failures_that_hit_hard_rows_do_not_flatter() -> None:
    """B fails on the rows where A is bad: over the rows that went well it looks no worse."""
    a = [90.0] * 20 + [30.0] * 20
    b = [90.0] * 20 + ["max_turns"] * 20
    level = compared(SCORE, a=a, b=b).levels[0]
    assert level.difference.value == pytest.approx(-15) and level.difference.high < 0
    assert level.succeeded is not None and level.succeeded.value == pytest.approx(0)
    assert level.verdict == "depends_on_failures"


def test_several_levels_hold_together() -> None:
    random = np.random.default_rng(7)
    base = random.uniform(40, 80, 40)
    levels = {name: list(base + shift + random.normal(0, 6, 40)) for name, shift in
              (("a", 0.0), ("b", 12.0), ("c", 1.0), ("d", -9.0))}  # fmt: skip
    found = compared(SCORE, **levels)
    alone = compared(SCORE, a=levels["a"], c=levels["c"]).levels[0]
    together = found.levels[1]
    assert [level.level for level in found.levels] == ["b", "c", "d"]
    assert together.difference.low < alone.difference.low  # 1 - 0.05 / 3
    raw = [compared(SCORE, a=levels["a"], x=levels[n]).levels[0].p_value for n in "bcd"]
    assert [level.p_value for level in found.levels] == pytest.approx(pairs.holm(raw))
    assert [level.verdict for level in found.levels] == ["better", "not_shown", "worse"]
    text = text_of(found)
    assert text.startswith("b scores ") and "together 95 %" in text and "p by Holm" in text
    lower = re.search(r"d scores (\d+) points lower than a \((\d+) to (\d+)\)", text)
    assert lower and int(lower[2]) < int(lower[1]) < int(lower[3])
    assert text.index("c costs") < text.index("Paired by row")


def test_the_baseline_is_the_one_that_was_asked_for() -> None:
    levels = {"a": [50.0] * 9 + [60.0], "b": [70.0] * 9 + [50.0]}
    there, back = compared(SCORE, "a", **levels), compared(SCORE, "b", **levels)
    assert there.levels[0].level == "b" and back.levels[0].level == "a"
    assert there.levels[0].difference.value == -back.levels[0].difference.value


def test_what_these_rows_could_show_is_said() -> None:
    a = [1, 1, 1, "max_turns"] * 12
    b = [1, "max_turns", 1, 1] * 12
    found = compared(OK, a=a, b=b)
    detectable = 100 * found.levels[0].difference.detectable
    assert not found.levels[0].difference.detectable_at_least
    assert f"A difference of {detectable:.0f} points or more would very likely" in text_of(found)
    sure = [1] * 19 + ["max_turns"]
    assert "Only a difference of at least" in text_of(compared(OK, a=sure, b=sure[::-1]))


def test_scores_without_a_range_are_compared_by_t() -> None:
    a, b = [1.0, 2, 3, 4], [2.0, 4, 3.5, 5]
    found = compared(Metric("score", UNBOUNDED), a=a, b=b)
    expected = pairs.mean_difference(a, b)
    assert found.levels[0].difference == expected
    assert "score uncertain: under 30 pairs" in text_of(found)


def test_a_metric_of_unknown_direction_is_neither_better_nor_worse() -> None:
    results, facts = results_of(a=[1.0, 2, 3], b=[4.0, 5.5, 6])
    results["n_words"] = results["score"]
    found = compare_results(results, facts, "model", "a", Metric("n_words", UNBOUNDED))
    text = text_of(found)
    assert "b has a n_words that is 3.2 higher than a" in text and "▲ higher" in text
    assert "better" not in text


def test_levels_without_a_pair_have_no_figures() -> None:
    found = compared(SCORE, a=[1.0, "network"], b=["network", 1.0])
    text = text_of(found)
    assert "b and a have no row in common that has score under both" in text
    assert found.levels[0].verdict == "not_shown"


def test_too_few_rows_show_no_difference_and_not_one_beyond_the_range() -> None:
    text = text_of(compared(OK, a=[1.0, 1.0, 1.0], b=[1.0, 1.0, 1.0]))
    assert "So few rows would hardly have shown any difference, however large." in text
    assert "points, and perhaps more" not in text


def test_rows_that_all_say_the_same_promise_nothing() -> None:
    results, facts = results_of(a=[1.0, 2, 3], b=[1.0, 2, 3])
    results["n_words"] = results["score"]
    found = compare_results(results, facts, "model", "a", Metric("n_words", UNBOUNDED))
    assert "is not shown" in text_of(found) and "have shown up" not in text_of(found)


def test_none_is_a_level_where_vary_has_it(stubbed: None) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})
    vary = {"system_prompt": [None, "Be brief."]}
    session = cpr.map(lambda row: said(row["n"], 0.1), frame, vary=vary).wait(LIMIT_S)
    found = session.compare()
    assert found.table.attrs["baseline"] is None and found.table.index.tolist() == ["Be brief."]
    assert "worse than None is not shown" in found.sentence
    assert session.compare(baseline="Be brief.").table["n_pairs"].tolist() == [3]


# -- of a session that may stop early -------------------------------------------------------------


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


def test_candidates_that_were_not_needed_are_missing_and_said(stubbed: None) -> None:
    frame = pd.DataFrame({"n": range(3)})
    vary = {"tone": ["a", "b"]}
    s = cpr.map("{n} {tone}", frame, vary=vary, best_of=2, at_once=1, check="true").wait(LIMIT_S)
    shown = str(s.compare(metric="ok"))
    assert "not_needed" in shown and "s.pass_at_k()" in shown
