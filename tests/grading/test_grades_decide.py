"""Grades that decide what runs: the best of N, and comparisons that stop. With the real CLI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = [pytest.mark.real_cli, pytest.mark.slow]
LIMIT_S = 120.0
RULES: list[dict[str, Any]] = [
    {"match": "^Grade .*-1 of", "steps": [{"so": {"reason": "Half.", "score": 0.5}}]},
    {"match": "^Grade .*-2 of", "steps": [{"so": {"reason": "All.", "score": 1}}]},
    {"match": "(?s)^Grade .*well done", "steps": [{"so": {"reason": "Good.", "score": 1}}]},
    {"match": "^Grade ", "steps": [{"so": {"reason": "Bad.", "score": 0}}]},
    {"match": "carefully", "steps": [{"text": "It is well done."}]},
    {"match": "hastily", "steps": [{"text": "It is done."}]},
]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": RULES}) as server:
        yield server


@pytest.fixture(autouse=True)
def here(offline_env: dict[str, str], in_env: Callable[[dict[str, str]], None]) -> None:
    in_env(offline_env)


def test_a_full_grade_ends_the_search_for_the_best(api: ScriptedApi) -> None:
    tasks = [{"id": "a", "prompt": "Do it."}]
    session = cpr.launch(tasks, best_of=3, at_once=1, grade="Is it all there?", light=True)
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded", "succeeded", "skipped"]
    results = session.results_df()
    assert results["score"].fillna(-1).tolist() == [0.5, 1.0, -1.0]
    n_graders = sum(r.last_user_text.startswith("Grade ") for r in api.requests)
    assert (n_graders, len(api.requests)) == (2, 4)


@pytest.mark.filterwarnings("ignore:(stop_when|max_parallel):UserWarning")
def test_a_comparison_by_grades_is_decided_by_all_of_them(api: ScriptedApi) -> None:
    session = cpr.map(
        "Do {n} {how}.",
        pd.DataFrame({"n": range(2)}),
        vary={"how": ["hastily", "carefully"]},
        grade="Is it well done?",
        stop_when="decided",
        light=True,
        max_parallel=4,
    ).wait(LIMIT_S)
    (level,) = session.head["decision"]["levels"]
    assert level["n_pairs"] == 2, "the last grades came after the last answers"
    assert session.summary(by="how")["score"].tolist() == [0.0, 1.0]


def test_a_planned_session_is_graded_too() -> None:
    rows = pd.DataFrame({"n": [1]})
    first = cpr.map("Do {n} hastily.", rows, light=True)
    second = cpr.map("Do {result} carefully.", after=first, grade="Is it well done?", light=True)
    assert second.wait(LIMIT_S).results_df()["score"].tolist() == [1.0]
    assert second.grading is not None and second.grading.name == f"grades of {second.id[:8]}"


def test_graders_of_a_planned_session_start_once(api: ScriptedApi) -> None:
    rows = pd.DataFrame({"n": range(3)})
    first = cpr.map("Do {n} hastily.", rows, light=True, pilot=2)
    second = cpr.map("Do {result} carefully.", after=first, grade="Is it well done?", light=True)
    first.wait(LIMIT_S)
    second.resume().wait(LIMIT_S)  # with the rows of the pilot
    assert second.results_df()["score"].tolist() == [1.0, 1.0]
    assert "can't write" not in (first.path / "runner.log").read_text()
    assert sum(r.last_user_text.startswith("Grade ") for r in api.requests) == 2
