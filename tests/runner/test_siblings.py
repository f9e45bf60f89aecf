"""Best of N in the runner: which candidates of a row start, and which are not needed any more."""

from __future__ import annotations

import pytest

from cpr_nb.model.full_mark import BY_SCORE, BY_SUCCESS, UNKNOWN, BestOf
from cpr_nb.runner.rules.rule import TaskEnd
from cpr_nb.runner.rules.siblings import Siblings

GOOD, BAD = TaskEnd("succeeded", "completed"), TaskEnd("failed", "check_failed")
CHECKED = BestOf(3, 3, BY_SUCCESS)
GRADED = BestOf(3, 3, BY_SCORE, True, 1.0)


def scored(score: float | None, outcome: str = "succeeded") -> TaskEnd:
    return TaskEnd(outcome, "completed", score)


def follows(rule: Siblings) -> list[tuple[str, int]]:
    """What the rule asks for now, and nothing the second time."""
    events = [(type(event).__name__, event.task) for event in rule.events(1.0)]
    assert not list(rule.events(1.0))
    return events


def ends(*tasks: int) -> list[tuple[str, int]]:
    """What ends these tasks, whether they run or wait."""
    return [(name, task) for task in tasks for name in ("Close", "Cancel")]


def test_a_full_mark_ends_its_siblings_and_no_other_row() -> None:
    rule = Siblings(CHECKED, 6)
    assert list(rule.held()) == []
    rule.ended(4, GOOD)
    assert follows(rule) == ends(3, 5)
    rule.ended(0, BAD)
    assert follows(rule) == []
    rule.ended(1, GOOD)
    assert follows(rule) == ends(2)


@pytest.mark.parametrize(
    ("best_of", "end"),
    [
        (CHECKED, BAD),
        (GRADED, scored(0.99)),
        (GRADED, scored(None)),
        (GRADED, scored(1.0, "failed")),
        (BestOf(3, 3, UNKNOWN, True, None), scored(1e9)),
    ],
    ids=["check failed", "not full", "no score", "not succeeded", "no maximum"],
)
def test_nothing_is_ended_while_a_better_one_may_come(best_of: BestOf, end: TaskEnd) -> None:
    rule = Siblings(best_of, 3)
    rule.ended(0, end)
    assert follows(rule) == []


def test_one_at_a_time_until_the_first_full_mark() -> None:
    rule = Siblings(BestOf(3, 1, BY_SUCCESS), 6)
    assert list(rule.held()) == [1, 2, 4, 5]
    rule.ended(0, BAD)
    assert follows(rule) == [("Release", 1)]
    rule.ended(3, GOOD)
    rule.ended(1, BAD)
    assert follows(rule) == [*ends(4, 5), ("Release", 2)]


def test_two_at_a_time() -> None:
    rule = Siblings(BestOf(4, 2, BY_SUCCESS), 4)
    assert list(rule.held()) == [2, 3]
    rule.ended(1, BAD)
    assert follows(rule) == [("Release", 2)]
    rule.ended(0, BAD)
    assert follows(rule) == [("Release", 3)]


def test_a_score_that_comes_later_holds_the_place_until_then() -> None:
    rule = Siblings(BestOf(3, 1, BY_SCORE, True, 1.0), 3, late_scores=True)
    rule.ended(0, scored(None))
    assert follows(rule) == []
    rule.scored(0, 0.4)
    assert follows(rule) == [("Release", 1)]
    rule.ended(1, scored(None))
    rule.scored(1, None)
    assert rule.fields()["candidates"]["n_unknown"] == 1
    assert follows(rule) == [("Release", 2)]


def test_a_later_full_mark_ends_the_siblings() -> None:
    rule = Siblings(GRADED, 3, late_scores=True)
    rule.ended(2, scored(None))
    rule.scored(2, 1.0)
    assert follows(rule) == ends(0, 1)


def test_a_failure_gets_no_score_so_nothing_waits_for_it() -> None:
    rule = Siblings(BestOf(3, 1, BY_SCORE, True, 1.0), 3, late_scores=True)
    rule.ended(0, BAD)
    assert follows(rule) == [("Release", 1)]


def test_a_later_runner_goes_on_where_the_first_one_was() -> None:
    rule = Siblings(BestOf(3, 1, BY_SUCCESS), 6)
    rule.ended(0, BAD)  # and its runner was killed
    rule.ended(3, GOOD)
    assert list(rule.held()) == [2, 4, 5]
    assert follows(rule) == ends(4, 5)


def test_what_the_user_reopens_runs_whatever_its_siblings_have() -> None:
    rule = Siblings(BestOf(3, 1, BY_SUCCESS), 3)
    rule.reopened([1, 2])
    rule.ended(0, GOOD)
    assert list(rule.held()) == []
    assert follows(rule) == []


def test_the_rule_is_made_from_the_head_of_session_json() -> None:
    session = {"best_of": GRADED.as_json(), "score": {"kind": "grade"}}
    rule = Siblings.of_session(session, 3)
    rule.ended(0, scored(None))
    rule.scored(0, 1.0)
    assert follows(rule) == ends(1, 2)


def test_an_answer_that_no_function_could_score_holds_nothing_up() -> None:
    best_of = BestOf(2, 1, BY_SCORE, True, 1.0)
    rule = Siblings.of_session({"best_of": best_of.as_json(), "score": {"kind": "function"}}, 2)
    rule.ended(0, scored(None))
    assert follows(rule) == [("Release", 1)]


def test_the_head_of_the_session_says_how_many_rows_are_solved() -> None:
    rule = Siblings(BestOf(2, 2, BY_SCORE, True, 1.0), 6, late_scores=True)
    for task, end in enumerate((scored(None), BAD, BAD, BAD, scored(None))):
        rule.ended(task, end)
    rule.scored(0, 1.0)
    rule.scored(4, 0.5)
    assert rule.fields() == {"candidates": {"n": 2, "n_rows": 3, "n_solved": 1, "n_ended": 2}}
    assert Siblings(BestOf(2, 2, UNKNOWN, True), 2).fields() == {}
