"""Levels compared with a baseline on the rows of sessions, which the stub has run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames.compared_levels import OK, SCORE, compared, results_of, text_of
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.frames.level_pairs import compare_results
from cpr_nb.stats import pairs
from cpr_nb.stats.metric_kinds import UNBOUNDED, Metric

LIMIT_S = 120.0
N = 12
#: Scores of each row under both levels.
SCORES = {
    "sonnet": [70, 71, 60, 80, 66, 75, 69, 72, 74, 68, 77, 65],
    "opus": [78, 80, 72, 85, 77, 81, 80, 80, 83, 77, 88, 72],
}


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


def test_candidates_that_were_not_needed_are_missing_and_said(stubbed: None) -> None:
    frame = pd.DataFrame({"n": range(3)})
    vary = {"tone": ["a", "b"]}
    s = cpr.map("{n} {tone}", frame, vary=vary, best_of=2, at_once=1, check="true").wait(LIMIT_S)
    shown = str(s.compare(metric="ok"))
    assert "not_needed" in shown and "s.pass_at_k()" in shown
