"""The best of three by grades, with the real CLI: who wins, and what a second grade costs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.store.read import read_session

pytestmark = [pytest.mark.real_cli, pytest.mark.slow]
LIMIT_S = 120.0
GRADES = {"a-1": 0.4, "a-2": 1.0, "a-3": 1.0}
RULES = [
    *(
        {"match": f"^Grade .* task {task}", "steps": [{"so": {"reason": "So so.", "score": grade}}]}
        for task, grade in GRADES.items()
    ),
    {"match": "Greet", "steps": [{"text": "Good morning."}]},
]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": RULES}) as server:
        yield server


def n_graded(api: ScriptedApi) -> Counter[str]:
    """How often each candidate was graded, by the log of the API."""
    found = (re.match(r"Grade the work of task (\S+)", r.last_user_text) for r in api.requests)
    return Counter(match[1] for match in found if match)


def test_grades_choose_and_a_second_one_is_paid_for_once(
    offline_env: dict[str, str],
    in_env: Callable[[dict[str, str]], None],
    api: ScriptedApi,
) -> None:
    in_env(offline_env)
    session = cpr.launch(
        [{"id": "a", "prompt": "Greet me."}],
        best_of=3,
        at_once=1,
        grade="Is it polite?",
        light=True,
    )
    best = session.wait(LIMIT_S).best_df()
    assert session.task("a-3").reason == "not_needed", "the second one had a full mark"
    assert n_graded(api) == {"a-1": 1, "a-2": 1}
    assert best["task_id"].tolist() == ["a-2"]
    assert best["solved"].tolist() == [True]
    assert best["score"].tolist() == [1.0]
    assert best["margin"].round(6).tolist() == [0.6]
    assert "`s.best_df(regrade=True)` has the winners graded anew" in str(session.best())

    for _ in range(2):
        best = session.best_df(regrade=True)
        assert best["rescored"].tolist() == [1.0], "and the winners stay the same"
    assert n_graded(api) == {"a-1": 1, "a-2": 2}
    assert best["task_id"].tolist() == ["a-2"]
    assert "the winners do not lose on average" in str(session.best())


def test_without_grades_there_is_nothing_to_give_anew(
    stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]
) -> None:
    in_env(stub_env)
    session = cpr.launch(["a"], best_of=2, check="true").wait(LIMIT_S)
    with pytest.raises(cpr.InputError, match="regrade: has no grades to give anew"):
        session.best_df(regrade=True)


def test_a_session_ends_after_the_grades_that_say_what_is_solved(
    offline_env: dict[str, str],
    in_env: Callable[[dict[str, str]], None],
    api: ScriptedApi,
) -> None:
    in_env(offline_env)
    tasks = [{"id": "a", "prompt": "Greet me."}]
    session = cpr.launch(tasks, best_of=2, grade="Is it polite?", light=True).wait(LIMIT_S)
    counts = read_session(session.path).head["candidates"]
    assert counts == {"n": 2, "n_rows": 1, "n_solved": 1, "n_ended": 1}
    assert n_graded(api) == {"a-1": 1, "a-2": 1}
