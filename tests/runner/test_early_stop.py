"""The rule that ends a comparison early: which rows enter, what is closed, what never matters."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest

from cpr_nb.launching.stopping import random_order
from cpr_nb.model.decision import Decision, LevelDecision, read_decision
from cpr_nb.runner import messages
from cpr_nb.runner.rules.early_stop import StoppingRule
from cpr_nb.runner.rules.rule import TaskEnd

GOOD, BAD = TaskEnd("succeeded", "completed"), TaskEnd("failed", "check_failed")
OVERLOADED, SKIPPED = TaskEnd("failed", "overloaded"), TaskEnd("skipped", "budget")
CANCELLED, DECIDED = TaskEnd("cancelled", "cancelled"), TaskEnd("skipped", "decided")


def rule_of(levels: int = 2, repeats: int = 1, **more: Any) -> dict[str, Any]:
    rule = {"metric": "ok", "factor": "model", "levels": list("abcd"[:levels]), "baseline": 0}
    rule |= {"n_repeats": repeats, "alpha": 0.05, "over": "rows like these", "range": [0.0, 1.0]}
    return rule | more


def make(n_rows: int, *, late_scores: bool = False, **more: Any) -> StoppingRule:
    """A rule over rows in the order in which they are numbered."""
    rule = rule_of(**more)
    n_tasks = n_rows * len(rule["levels"]) * rule["n_repeats"]
    return StoppingRule(rule, range(n_tasks), late_scores=late_scores)


def row(rule: StoppingRule, number: int, *ends: TaskEnd) -> None:
    """All tasks of a row end."""
    for task, end in enumerate(ends, number * len(ends)):
        rule.ended(task, end)


def closed(rule: StoppingRule) -> list[int]:
    """What it closes; all of that has not started, so it ends."""
    events = list(rule.events(0.0))
    for event in events:
        assert isinstance(event, messages.Close)
        assert (event.outcome.outcome, event.outcome.reason) == ("skipped", "decided")
        rule.ended(event.task, DECIDED)
    return [event.task for event in events]


def shown(rule: StoppingRule) -> Decision:
    decision = read_decision(rule.fields())
    assert decision is not None
    return decision


def test_a_decision_closes_what_waits() -> None:
    rule = make(100)
    for number in range(100):
        row(rule, number, BAD, GOOD)
        if found := closed(rule):
            break
    (level,) = shown(rule).levels
    assert (level.verdict, level.n_pairs, level.difference) == ("better", number + 1, 1.0)
    assert 5 < level.n_pairs < 12 and level.low > 0
    assert found == list(range(2 * number + 2, 200))
    assert closed(rule) == []


def test_only_whole_rows_enter_and_only_in_their_order() -> None:
    """Row 0 is slow under one level: whatever the others have, nothing is decided without it."""
    rule = make(100)
    rule.ended(0, BAD)
    for number in range(1, 60):
        row(rule, number, BAD, GOOD)
    assert closed(rule) == [] and shown(rule).levels[0].n_pairs == 0
    rule.ended(1, GOOD)
    assert closed(rule) and shown(rule).levels[0].verdict == "better"


def test_what_ends_after_the_decision_does_not_enter() -> None:
    rule = make(100)
    for number in range(50):
        row(rule, number, BAD, GOOD)
    before = shown(rule).levels[0]
    for number in range(50, 100):
        row(rule, number, GOOD, BAD)
    assert shown(rule).levels[0] == before and before.n_pairs < 12


@pytest.mark.parametrize("over", ["rows like these", "this table"])
def test_the_order_of_the_ends_changes_nothing(over: str) -> None:
    """Nor does a restart, which tells of the ends in the order of the tasks' numbers."""
    chance = random.Random(3)
    for _ in range(20):
        rule = rule_of(3, 2, over=over, delta=0.3)
        order = random_order(20, 3, 2, chance)
        ends = {
            task: chance.choices([GOOD, BAD, OVERLOADED], [4 + task % 2, 4, 1])[0] for task in order
        }
        told = []
        for tasks in (order, sorted(order), chance.sample(order, len(order))):
            stopping = StoppingRule(rule, order)
            for task in tasks:
                stopping.ended(task, ends[task])
            told.append(stopping.fields())
        assert told[0] == told[1] == told[2]


def test_a_row_lost_to_the_machine_leaves_the_order() -> None:
    rule = make(10, over="this table")
    row(rule, 0, GOOD, OVERLOADED)
    for number in range(1, 10):
        row(rule, number, BAD, GOOD)
    (level,) = shown(rule).levels
    assert (level.verdict, level.n_lost) == ("better", 1)
    text = shown(rule).sentence(level)
    assert text.startswith("b is better than a on these 9 rows, as run once: +100 points")
    assert text.endswith("; 1 row has no pair, for what the tasks ran on failed")


def test_one_repeat_lost_leaves_the_others() -> None:
    rule = make(3, repeats=2)
    row(rule, 0, GOOD, GOOD, BAD, OVERLOADED)
    assert shown(rule).levels[0][2:] == (-1.0, *shown(rule).levels[0][3:5], 1, 0)


@pytest.mark.parametrize(
    ("end", "over", "n_pairs"),
    [
        (SKIPPED, "rows like these", 0),
        (SKIPPED, "this table", 0),
        (CANCELLED, "rows like these", 3),
        (CANCELLED, "this table", 0),
    ],
    ids=["skipped", "skipped, table", "cancelled", "cancelled, table"],
)
def test_what_did_not_run_makes_no_table_smaller(end: TaskEnd, over: str, n_pairs: int) -> None:
    rule = make(4, over=over)
    row(rule, 0, GOOD, end)
    for number in range(1, 4):
        row(rule, number, BAD, GOOD)
    assert shown(rule).levels[0].n_pairs == n_pairs
    assert shown(rule).levels[0].verdict is None


def test_each_level_is_settled_on_its_own() -> None:
    """The baseline goes on as long as another level needs it."""
    rule = make(200, levels=3)
    for number in range(20):
        row(rule, number, BAD, GOOD, BAD)
    assert closed(rule) == [task for task in range(60, 600) if task % 3 == 1]
    for number in range(20, 60):
        rule.ended(3 * number, BAD)
        rule.ended(3 * number + 2, GOOD)
    found = closed(rule)
    assert found and {task % 3 for task in found} == {0, 2}
    assert shown(rule).is_decided


def test_alpha_is_shared_by_the_levels() -> None:
    n_pairs = []
    for levels in (2, 4):
        rule = make(60, levels=levels)
        for number in range(60):
            row(rule, number, BAD, *[GOOD] * (levels - 1))
        n_pairs.append(shown(rule).levels[0].n_pairs)
    assert n_pairs[0] < n_pairs[1]


def test_who_knows_the_decision_may_run_the_rest() -> None:
    rule = make(60)
    rule.reopened(range(30, 120))
    for number in range(15):
        row(rule, number, BAD, GOOD)
    assert closed(rule) == [] and shown(rule).levels[0].verdict == "better"
    for number in range(15, 60):
        row(rule, number, GOOD, BAD)
    assert closed(rule) == [] and shown(rule).levels[0].n_pairs < 15


def test_a_later_decision_closes_what_was_reopened_before() -> None:
    """The tasks had been skipped for another reason, such as a lost login."""
    rule = make(60)
    rule.reopened(range(4, 120))
    row(rule, 0, BAD, GOOD)
    assert closed(rule) == []
    for number in range(1, 15):
        row(rule, number, BAD, GOOD)
    assert closed(rule) == list(range(30, 120))


def test_a_running_task_that_would_start_again_is_closed() -> None:
    rule = make(60)
    for number in range(15):
        row(rule, number, BAD, GOOD)
    first = [event.task for event in rule.events(0.0)]
    for task in first[2:]:  # the first two run, and are left alone
        rule.ended(task, DECIDED)
    assert [event.task for event in rule.events(1.0)] == first[:2]
    for task in first[:2]:
        rule.ended(task, GOOD)
    assert list(rule.events(2.0)) == []


# -- scores ---------------------------------------------------------------------------------


def scored(score: float | None) -> TaskEnd:
    return TaskEnd("succeeded", "completed", score)


def test_scores_are_parts_of_their_range() -> None:
    rule = make(60, metric="score", range=[1.0, 5.0])
    row(rule, 0, scored(2.0), scored(4.0))
    row(rule, 1, BAD, scored(1.0))  # a failure has the worst score
    (level,) = shown(rule).levels
    assert (level.n_pairs, level.difference) == (2, 1.0)
    assert -4 < level.low < -3 and 3 < level.high < 4
    assert "+1 (-4 to 4)" in shown(rule).sentence(level)  # steps of a third of its width


@pytest.mark.parametrize(
    ("metric", "figures", "words"),
    [
        ("score", (1.0, -3.62, 3.78), "+1 (-4 to 4)"),
        ("score", (0.75, 0.053, 0.96), "+0.8 (0.1 to 1.0)"),
        ("score", (0.4, 0.02, 0.9), "+0.40 (0.02 to 0.90)"),  # its low end is not 0
        ("score", (-0.4, -0.9, -0.02), "-0.40 (-0.90 to -0.02)"),
        ("score", (-0.01, -0.3, 0.02), "+0.0 (-0.3 to 0.0)"),
        ("score", (12.4, 0.0, 31.6), "+12 (0 to 32)"),
        ("score", (0.0, 0.0, 0.0), "+0.00 (0.00 to 0.00)"),
        ("ok", (0.25, 0.04, 0.44), "+25 points (4 to 44)"),
        ("ok", (0.25, 0.003, 0.44), "+25.0 points (0.3 to 44.0)"),
        ("ok", (-0.001, -0.2, 0.2), "+0 points (-20 to 20)"),
    ],
    ids=str,
)
def test_the_figures_of_a_decision(
    metric: str, figures: tuple[float, float, float], words: str
) -> None:
    level = LevelDecision("b", None, *figures, 8, 0)
    decision = Decision(metric, "model", "a", 0.05, None, "rows like these", 60, (level,))
    assert f"not decided: {words}, after 8" in str(decision)


def test_a_missing_score_is_no_failure() -> None:
    rule = make(60, metric="score")
    row(rule, 0, scored(None), scored(1.0))
    assert shown(rule).levels[0][5:] == (0, 1)


@pytest.mark.parametrize("score", [None, float("nan")], ids=["none", "nan"])
def test_a_late_score_is_waited_for(score: float | None) -> None:
    rule = make(60, late_scores=True, metric="score")
    for number in range(3):
        row(rule, number, scored(None), BAD)
    assert shown(rule).levels[0].n_pairs == 0
    rule.scored(2, 1.0)
    rule.scored(0, 0.5)
    assert shown(rule).levels[0][2:3] + shown(rule).levels[0][5:] == (-0.75, 2, 0)
    rule.scored(4, score)
    rule.scored(4, 1.0)  # it was certain that there would be none
    assert shown(rule).levels[0][5:] == (2, 1)


def test_a_decision_can_be_kept() -> None:
    decision = shown(make(4))
    assert pickle.loads(pickle.dumps(decision)) == decision


# -- what is read ---------------------------------------------------------------------------


def forgeries() -> Iterator[Any]:
    rule = make(2)
    row(rule, 0, BAD, GOOD)
    sound = rule.fields()["decision"]
    yield from (None, 3, [], {}, {**sound, "levels": []}, {**sound, "metric": "cost_usd"})
    yield from ({**sound, name: "x"} for name in ("levels", "alpha", "n_rows", "over"))
    for name in ("low", "high", "n_pairs", "n_lost"):
        yield {**sound, "levels": [{**sound["levels"][0], name: float("inf")}]}
    yield {**sound, "levels": [4]}


def test_what_an_agent_may_have_written_is_not_believed() -> None:
    for fields in forgeries():
        assert read_decision({"decision": fields}) is None


def test_a_level_can_not_drive_a_terminal() -> None:
    rule = make(2, levels=2)
    fields = rule.fields()["decision"]
    fields["levels"][0] |= {"level": "\x1b[31mred\n" * 90, "verdict": "great"}
    decision = read_decision({"decision": fields})
    assert decision is not None and decision.levels[0].verdict is None
    assert "\x1b" not in str(decision) and len(str(decision)) < 300
