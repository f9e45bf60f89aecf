"""What is refused of grades before anything is spent or created, with the stand-in for the CLI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.stub import Stub

import cpr_nb as cpr

LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def here(in_env: Callable[[dict[str, str]], None], stub_env: dict[str, str]) -> None:
    in_env(stub_env)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grade": ""}, "grade: must be a rubric"),
        ({"grade": 5}, "grade: must be a rubric"),
        ({"grade": "x" * 70_000}, "grade: has 70000 bytes"),
        ({"grade": "Good?", "score": "check", "check": "true"}, "a session has one score"),
        ({"grade_model": "opus"}, "grade_model: means something only with grade="),
        ({"grade": "Good?", "grade_model": ""}, "model: "),
        ({"score": "grade"}, "'grade' needs grade="),
    ],
    ids=["empty", "number", "long", "two scores", "no rubric", "no model", "score alone"],
)
def test_what_can_not_be_is_refused(options: dict[str, Any], words: str, work: Path) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.launch(["Do it."], **options)
    assert not list(work.glob("results/session-*")), "nothing was created"


def test_a_second_column_for_scores_is_refused() -> None:
    with pytest.raises(cpr.InputError, match="'score', and there is one already"):
        cpr.map("Do {score}.", pd.DataFrame({"score": [1]}), grade="Good?")


def test_a_dry_run_starts_no_grader(work: Path) -> None:
    assert len(cpr.launch(["Do it."], grade="Good?", dry_run=True)) == 1
    assert not list(work.glob("results/session-*"))


def test_other_options_of_a_grader_are_refused_and_no_answer_is_no_work(stub: Stub) -> None:
    session = cpr.launch([{"id": "a", "prompt": "Do it."}]).wait(LIMIT_S)
    for option in ("tools", "schema", "system_prompt", "permissions"):
        with pytest.raises(cpr.InputError, match=f"{option}: can't be set for a grader"):
            session.grade("Good?", **{option: "x"})
    with pytest.raises(cpr.InputError, match="has no rubric yet"):
        session.grade()
    with pytest.raises(cpr.SessionNotUsable, match="has no grades"):
        session.agreement([True])
    failed = cpr.launch(["Do it."], check="false").wait(LIMIT_S)
    with pytest.raises(cpr.SessionNotUsable, match="nothing to grade"):
        failed.grade("Good?")
    assert len(stub.calls()) == 2
