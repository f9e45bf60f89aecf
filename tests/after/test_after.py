"""Sessions that are planned to come after others: with a stand-in for the CLI."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr
from after.stages import LIMIT_S, SCHEMA, held_input, rated

EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def test_the_rows_that_fit_run_when_the_input_has_ended(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("Fix {path}: {reason}", after=first.where("score < 3"))
    assert second.state == "planned" and len(second) == 0
    assert list(second.results_df().columns)[:4] == ["path", "do", "score", "reason"]
    with pytest.raises(cpr.SessionNotUsable, match="planned, and its rows are not known yet"):
        second.forecast()
    stub.release("held")
    second.wait(LIMIT_S)
    assert [task.prompt for task in second] == ["Fix a: bad", "Fix c: poor"]
    out = second.results_df()
    assert out["path"].tolist() == ["a", "c"] and out["score"].tolist() == [1, 2]
    assert out["result"].tolist() == ["done", "done"]
    assert len(stub.calls()) == 5


def test_nothing_runs_before_the_input_has_ended(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.launch(["later"], after=first)
    first.wait_until(lambda: first.snapshot.count("completed") == 2, LIMIT_S, "two rows")
    assert second.state == "planned"
    stub.release("held")
    assert second.wait(LIMIT_S)[0].text == "done"
    assert min(started(second)) >= max(ended(first))


def started(session: cpr.Session) -> list[str]:
    return [task.fields["started_at"] for task in session.refresh()]


def ended(session: cpr.Session) -> list[str]:
    return [task.fields["ended_at"] for task in session.refresh()]


def test_an_input_that_has_ended_starts_it_at_once() -> None:
    first = cpr.launch([rated(1), rated(2)], schema=SCHEMA).wait(LIMIT_S)
    second = cpr.map("Fix {prompt} of {score}", after=first.where("score == 2"), repeats=2)
    assert second.state != "planned"
    assert [row["repeat"] for _, row in second.wait(LIMIT_S).results_df().iterrows()] == [1, 2]


def test_a_chain_of_three_and_a_row_that_failed(stub: Stub) -> None:
    stub.fifos("held")
    df = pd.DataFrame({"do": [rated(1, "one", "held"), plan(result=None, exit=3)]})
    first = cpr.map("{do}", df, schema=SCHEMA, attempts=1)
    second = cpr.map(rated(7, "seven") + "{reason}", after=first, schema=SCHEMA)
    third = cpr.map("{reason} {reason_1} {score} {score_1}", after=second)
    assert second.state == third.state == "planned"
    assert {"score_1", "score", "reason_1", "result"} <= set(third.results_df().columns)
    stub.await_here("held")
    stub.release("held")
    third.wait(LIMIT_S)
    assert [task.prompt for task in third] == ["seven one 7 1"]
    assert third.results_df()["score_1"].tolist() == [1]
    assert third.results_df()["score"].tolist() == [7]
    assert len(stub.calls()) == 4


def test_tasks_of_a_session_and_several_sessions(stub: Stub) -> None:
    first = held_input(stub)
    chosen = cpr.map("Only {path}", after=[first[0], first[2]])
    other = cpr.launch([plan()])
    both = cpr.launch(["both"], after=[first, other])
    with pytest.raises(cpr.InputError, match="after: names several sessions"):
        cpr.map("{path}", after=[first, other])
    stub.release("held")
    assert [task.prompt for task in chosen.wait(LIMIT_S)] == ["Only a", "Only c"]
    assert both.wait(LIMIT_S).state == "completed"


def test_a_frame_that_waits(stub: Stub) -> None:
    first = held_input(stub)
    df = pd.DataFrame({"name": ["x", "y"]}, index=["r", "s"])
    second = cpr.map("Do {name}", df, after=first, vary={"model": ["opus", "sonnet"]})
    stub.release("held")
    out = second.wait(LIMIT_S).results_df()
    assert out.index.tolist() == ["r", "r", "s", "s"] and out["name"].tolist() == list("xxyy")
    assert out["model"].tolist() == ["opus", "sonnet"] * 2


WRONG: list[tuple[object, dict[str, object], str]] = [
    ("{nothing}", {}, "nothing is called {nothing}"),
    ("{reason}", {"where": "scor < 3"}, "where: 'scor < 3' can't be evaluated"),
    ("{reason}", {"where": "score + 1"}, "is not true or false for each row"),
    ("{reason}", {"vary": {"tone": ["dry"]}}, "has no placeholder {tone}"),
    ("{reason}", {"env": {"A": "b"}}, "env: values of variables are not stored"),
    ("{reason}", {"model_col": "reason"}, "model_col: the column 'reason' is an answer"),
    ("{reason}", {"modle": "opus"}, "unknown option 'modle'"),
    ("{reason}", {"results_dir": "elsewhere"}, "results_dir: must be that of its input"),
    (str, {}, "template: must be a text"),
]


def test_what_can_not_be_right_is_refused_at_once(stub: Stub) -> None:
    first = held_input(stub)
    for template, options, words in WRONG:
        where = options.get("where")
        rest: dict[str, Any] = {k: v for k, v in options.items() if k != "where"}
        after = first.where(str(where)) if where else first
        with pytest.raises(cpr.InputError, match=re.escape(words)):
            cpr.map(template, after=after, **rest)  # type: ignore[arg-type]
    assert len(cpr.sessions_df()) == 1
    stub.release("held")
    first.wait(LIMIT_S)


@pytest.mark.parametrize("after", ["session", None, 5, [], [5]], ids=str)
def test_what_is_no_input(after: object) -> None:
    if after is None:
        with pytest.raises(cpr.InputError, match="df: must be a pandas DataFrame"):
            cpr.map("{x}", after=None)
        return
    with pytest.raises(cpr.InputError, match="after: "):
        cpr.launch(["x"], after=after)


def test_a_condition_is_a_text() -> None:
    with pytest.raises(cpr.InputError, match="where: must be a text"):
        cpr.launch([plan()]).wait(LIMIT_S).where(lambda row: True)  # type: ignore[arg-type]


def test_no_row_fits(stub: Stub) -> None:
    first = held_input(stub)
    none = cpr.map("{path}", after=first.where("score > 9"))
    beyond = cpr.launch(["last"], after=none)
    stub.release("held")
    assert none.wait(LIMIT_S).state == "completed" and len(none) == 0
    assert "none of the 3 rows" in none.head["error"]
    assert beyond.wait(LIMIT_S).state == "completed" and len(beyond) == 1
    assert list(none.as_completed()) == [] and len(none.results_df()) == 0
    with pytest.raises(cpr.InputError, match="after: nothing to do: none of the 3 rows"):
        cpr.map("{path}", after=first.where("score > 9"))


def test_nothing_has_succeeded(stub: Stub) -> None:
    stub.fifos("held")
    first = cpr.launch([plan(here="held", gate="held", result=None, exit=3)], attempts=1)
    second = cpr.map("again", after=first)
    third = cpr.map("{result}", after=second)
    stub.await_here("held")
    stub.release("held")
    assert second.wait(LIMIT_S).state == "error"
    assert third.wait(LIMIT_S).state == "cancelled"
    assert len(stub.calls()) == 1


def test_a_row_without_a_value_is_left_out(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("{reason}", after=first.where("score < 3 or not ok"))
    first[2].cancel()
    second.wait(LIMIT_S)
    assert [task.prompt for task in second] == ["bad"]
    assert "1 row left out: no value for reason" in second.warnings


def test_the_end_of_an_input_is_the_end_of_what_comes_after(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    third = cpr.launch(["x"], after=second)
    first.cancel()
    assert second.wait(LIMIT_S).state == third.wait(LIMIT_S).state == "cancelled"
    assert len(stub.calls()) == 3


def test_the_same_is_planned_once(stub: Stub) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first, reuse=True)
    assert cpr.map("{path}", after=first, reuse=True).id == second.id
    assert cpr.map("{path}!", after=first, reuse=True).id != second.id
    stub.release("held")
    second.wait(LIMIT_S)
    assert cpr.map("{path}", after=first, reuse=True).id == second.id
    first.wait(LIMIT_S)
    again = cpr.map("{path}", after=first)
    assert again.id != second.id
    again.wait(LIMIT_S)


def test_rows_that_have_an_answer_do_not_run_again(stub: Stub) -> None:
    cpr.map("{path}", pd.DataFrame({"path": ["a"]}), reuse=True).wait(LIMIT_S)
    stub.fifos("held")
    df = pd.DataFrame({"path": ["a", "b"], "do": [plan(), plan(here="held", gate="held")]})
    first = cpr.map("{do}", df)
    second = cpr.map("{path}", after=first, reuse=True)
    stub.await_here("held")
    stub.release("held")
    assert len(second.wait(LIMIT_S)) == 1
    assert second.results_df()["result"].tolist() == ["done", "done"]


def test_scores_and_grades_of_a_later_session(stub: Stub) -> None:
    first = held_input(stub)
    with pytest.raises(cpr.InputError, match="score: "):
        cpr.map("{path}", after=first, score="no_such_column")
    second = cpr.map(rated(4) + "{path}", after=first, schema=SCHEMA, score="score")
    graded = cpr.map("{path}", after=first, grade="Is it short?", grade_model="opus")
    stub.release("held")
    assert second.wait(LIMIT_S).results_df()["score"].tolist() == [4, 4, 4]
    assert second.results_df()["score_1"].tolist() == [1, 5, 2]
    graded.wait_until(lambda: not graded.is_planned, LIMIT_S, "its start")
    grading = graded.grading
    assert grading is not None
    grading.wait(LIMIT_S)
    assert len(grading) == 3


def test_a_later_session_waits_for_the_rest_of_a_pilot(stub: Stub) -> None:
    first = cpr.map("{n}", pd.DataFrame({"n": range(4)}), pilot=2)
    second = cpr.map("again {n}", after=first)
    other = cpr.map("also {n}", after=first)
    first.wait(LIMIT_S)
    assert second.state == other.state == "planned"
    third = cpr.launch(["at the end"], after=second)
    words = (
        f"{second.id[:8]} waits for {first.id[:8]}: its pilot has ended, and 2 tasks have not run"
    )
    for session in (second, third):
        with pytest.raises(cpr.SessionInterrupted, match=words):  # instead of waiting for ever
            session.wait()
    assert len(other.resume().wait(LIMIT_S)) == 2
    first.run_rest()
    assert len(third.wait(LIMIT_S)) == 1 and len(second.wait(LIMIT_S)) == 4
    assert len(stub.calls()) == 11


def test_of_candidates_the_best_ones_are_the_rows() -> None:
    levels = [rated(score, "as it is") for score in (1, 3, 2)]
    first = cpr.map(
        "{do}",
        pd.DataFrame({"n": [7]}),
        vary={"do": levels},
        best_of=3,
        schema=SCHEMA,
        score="score",
    )
    second = cpr.map("Use {score} of {n}", after=first.wait(LIMIT_S)).wait(LIMIT_S)
    assert [task.prompt for task in second] == ["Use 3 of 7"]
