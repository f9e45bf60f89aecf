"""Best of N: several candidates a row, of which the best is chosen; the others end early."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit import processes
from testkit.command import Cpr
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.views.candidates import read_candidates

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
#: The check of the second candidate passes.
SECOND = "case $CPR_TASK_ID in *-2) ;; *) exit 1 ;; esac"


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def ends(session: cpr.Session) -> list[tuple[str | None, str | None]]:
    return [(task.outcome, task.reason) for task in session]


def test_one_after_the_other_until_a_check_passes(stub: Stub) -> None:
    tasks = [{"id": "a", "prompt": "do a"}, {"id": "b", "prompt": "do b"}]
    session = cpr.launch(tasks, best_of=3, at_once=1, check=SECOND).wait(LIMIT_S)
    row = [("failed", "check_failed"), ("succeeded", "completed"), ("skipped", "not_needed")]
    assert ends(session) == [*row, *row]
    assert sorted(stub.calls()) == ["a-1", "a-2", "b-1", "b-2"]
    assert session.head["candidates"] == {"n": 3, "n_rows": 2, "n_solved": 2, "n_ended": 2}
    rows = read_candidates(session.snapshot).rows
    assert [(row.solved, row.best and row.best.number) for row in rows] == [(True, 2), (True, 2)]


def test_a_candidate_that_runs_is_cancelled_once_it_is_not_needed(stub: Stub) -> None:
    stub.fifos("slow")
    levels = [plan(), plan(here="slow", gate="slow")]
    session = cpr.map(
        "{do}",
        pd.DataFrame({"n": [1]}),
        vary={"do": levels},
        best_of=2,
        check="until [ -e go ]; do sleep 0.01; done",
        max_parallel=2,
    )
    stub.await_here("slow")
    (session.path.parent.parent / "go").touch()
    assert ends(session.wait(LIMIT_S)) == [("succeeded", "completed"), ("cancelled", "not_needed")]


def test_what_was_not_needed_can_run_later(stub: Stub) -> None:
    session = cpr.launch([{"id": "a", "prompt": "a"}], best_of=3, at_once=1, check="true")
    assert [end[0] for end in ends(session.wait(LIMIT_S))] == ["succeeded", "skipped", "skipped"]
    session.resume(skipped=True).wait(LIMIT_S)
    assert [end[0] for end in ends(session)] == ["succeeded"] * 3
    assert len(stub.calls()) == 3


def test_a_later_runner_starts_no_candidate_again(stub: Stub) -> None:
    stub.fifos("held")
    levels = [plan(), plan(here="held", gate="held"), plan(say="third")]
    session = cpr.map(
        "{do}",
        pd.DataFrame({"id": ["a"]}),
        id_col="id",
        vary={"do": levels},
        best_of=3,
        at_once=1,
        check=SECOND,
    )
    stub.await_here("held")
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second candidate")
    os.kill(json.loads(Path(session.paths.runner).read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    stub.release("held")  # it ends while no runner works
    session.resume().wait(LIMIT_S)
    row = [("failed", "check_failed"), ("succeeded", "completed"), ("skipped", "not_needed")]
    assert ends(session) == row
    assert [file.name.rpartition(".")[0] for file in sorted((stub.folder / "calls").iterdir())] == [
        "a-1",
        "a-2",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"best_of": 1, "check": "true"}, "best_of: must be a whole number, at least 2, not 1"),
        ({"best_of": 3}, "best_of: needs something that tells which candidate is the best"),
        ({"best_of": 3, "check": "true", "repeats": 2}, "repeats: best_of says how often"),
        (
            {"best_of": 3, "check": "true", "vary": {"model": ["sonnet", "opus"]}},
            "best_of: 3 candidates can't be shared out evenly over 2 combinations",
        ),
        ({"best_of": 3, "check": "true", "at_once": 4}, "at_once: must be a whole number from 1"),
        ({"at_once": 1}, "at_once: means something only with best_of="),
        ({"best_of": 3, "check": "true", "full_mark": 1}, "full_mark: means something only with"),
    ],
    ids=["one", "no judge", "repeats", "uneven", "too many at once", "alone", "no score"],
)
def test_what_can_not_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(cpr.InputError, match="^" + words.replace("(", r"\(")):
        cpr.launch(["a"], dry_run=True, **options)


def test_candidates_are_shared_out_over_what_varies() -> None:
    rows: Any = cpr.launch(
        ["a"], vary={"model": ["sonnet", "opus"]}, best_of=4, check="true", dry_run=True
    )
    assert [row["model"] for row in rows] == ["sonnet", "sonnet", "opus", "opus"]


def test_the_command_says_how_many_rows_are_solved(stub: Stub, stub_cpr: Cpr) -> None:
    session = cpr.launch(["a", "b"], best_of=3, at_once=1, check="true").wait(LIMIT_S)
    status = stub_cpr.good("status", session.id)
    assert "2 of 2 rows are solved by the best of 3" in status
    summary = stub_cpr.good("watch", session.id)
    assert "2/6 succeeded · 4 not needed" in summary and "✅ completed" in summary
    assert "resume" in summary and "--skipped" in summary and "retry" not in summary
    with pytest.raises(cpr.SessionNotUsable, match="nothing to retry"):
        session.retry()


def test_a_retry_runs_all_candidates_of_the_rows_without_a_success(stub: Stub) -> None:
    frame = pd.DataFrame({"key": ["a", "b"]}, index=["one", "two"])
    only_a = "case $CPR_TASK_ID in a-2) ;; *) exit 1 ;; esac"
    session = cpr.map("Fix {key}", frame, id_col="key", best_of=3, at_once=1, check=only_a).wait(
        LIMIT_S
    )
    assert sorted(stub.calls()) == ["a-1", "a-2", "b-1", "b-2", "b-3"]
    again = session.retry(check=SECOND).wait(LIMIT_S)
    assert [end[1] for end in ends(again)] == ["check_failed", "completed", "not_needed"]
    assert [task.id for task in again] == ["b-1", "b-2", "b-3"]  # nothing of a
    best = again.best_df()
    assert best.index.tolist() == ["two"] and best["candidate"].tolist() == [2]
    # The first session shows the newest answers, but was not solved within three.
    assert session.best_df()[["solved", "cost_usd"]].to_numpy().tolist() == [
        [True, 0.5],
        [True, 1.25],
    ]
    assert "1 of these was solved only by a retry." in " ".join(str(session.best()).split())
    assert session.pass_at_k()["pass_at_k"].tolist() == [0, 0.5, 0.5]


def test_a_retry_of_all_tasks_is_a_best_of_n_too(stub: Stub) -> None:
    session = cpr.launch(["a", "b"], best_of=2, at_once=1, check="true").wait(LIMIT_S)
    again = session.retry(all_tasks=True).wait(LIMIT_S)
    assert again.head["candidates"] == {"n": 2, "n_rows": 2, "n_solved": 2, "n_ended": 2}
    assert [end[0] for end in ends(again)] == ["succeeded", "skipped"] * 2
    with pytest.raises(cpr.InputError, match="needs something that tells which candidate"):
        session.retry(all_tasks=True, check=None)


def test_a_retry_keeps_which_score_is_enough(stub: Stub) -> None:
    session = cpr.map(
        "{do}",
        pd.DataFrame({"n": [1]}),
        schema=SCHEMA,
        score="points",
        full_mark=5,
        vary={"do": [plan(exit=3, result=None, once="failed"), points(6), points(8)]},
        best_of=3,
        at_once=1,
    ).wait(LIMIT_S)
    assert [reason for _, reason in ends(session)][1:] == ["completed", "not_needed"]
    again = session.retry(all_tasks=True).wait(LIMIT_S)
    assert [reason for _, reason in ends(again)][1:] == ["completed", "not_needed"]
    assert again.best_df()[["candidate", "score"]].to_numpy().tolist() == [[2, 6]]


def test_a_session_without_candidates_says_how_to_get_some(stub: Stub) -> None:
    session = cpr.launch(["a"]).wait(LIMIT_S)
    with pytest.raises(cpr.SessionNotUsable, match="launch with best_of="):
        read_candidates(session.snapshot)


def points(number: float) -> str:
    return plan(result={"structured_output": {"points": number}})


SCHEMA = {
    "type": "object",
    "properties": {"points": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["points"],
}


def test_the_highest_possible_score_is_a_full_mark(stub: Stub) -> None:
    session = cpr.map(
        "{do}",
        pd.DataFrame({"id": ["a"]}),
        id_col="id",
        schema=SCHEMA,
        score="points",
        vary={"do": [points(7), points(10), points(8)]},
        best_of=3,
        at_once=1,
    ).wait(LIMIT_S)
    assert [reason for _, reason in ends(session)] == ["completed", "completed", "not_needed"]
    best = session.best_df()
    columns = ["solved", "candidate", "score", "points", "margin", "n_equal"]
    assert best[columns].to_numpy().tolist() == [[True, 2, 10, 10, 3, 1]]
    page = str(session.best())
    assert "1 of 1 row is solved by the best of three; a single candidate solves 0." in page
    assert "flattered." in page and "regrade" not in page


def test_a_score_that_is_good_enough_may_be_said(stub: Stub) -> None:
    session = cpr.map(
        "{do}",
        pd.DataFrame({"id": ["a"]}),
        schema={"points": float},
        score="points",
        full_mark=5,
        vary={"do": [points(4), points(6), points(8)]},
        best_of=3,
        at_once=1,
    ).wait(LIMIT_S)
    assert [reason for _, reason in ends(session)] == ["completed", "completed", "not_needed"]
    assert session.best_df()["solved"].tolist() == [True]


def test_without_a_maximum_all_candidates_run_and_a_warning_says_so(stub: Stub) -> None:
    with pytest.warns(UserWarning, match="all 2 candidates of each row run; full_mark="):
        session = cpr.launch(
            [points(3)], schema={"points": float}, score="points", best_of=2, max_parallel=2
        )
    best = session.wait(LIMIT_S).best_df()
    assert best["solved"].isna().all() and best["n_succeeded"].tolist() == [2]


def test_a_function_scores_the_candidates(stub: Stub, work: Path) -> None:
    (work / "judge.py").write_text("def length(row):\n    return len(row['answer'])\n")
    session = cpr.map(
        "{do}",
        pd.DataFrame({"id": ["a"]}),
        score="judge:length",
        full_mark=4,
        vary={"do": [plan(result={"result": text}) for text in ("x", "xxxx", "xxx")]},
        best_of=3,
        at_once=1,
    ).wait(LIMIT_S)
    assert [reason for _, reason in ends(session)] == ["completed", "completed", "not_needed"]
    assert session.best_df()[["candidate", "score"]].to_numpy().tolist() == [[2, 4]]


# --- the table ----------------------------------------------------------------------------------


def test_the_table_of_the_best_has_a_row_a_row(stub: Stub) -> None:
    df = pd.DataFrame({"path": ["a.py", "b.py"]}, index=["one", "two"])
    passes = "case $CPR_TASK_ID in a-2|a-3) ;; *) exit 1 ;; esac"
    session = cpr.map(
        "Fix {path}",
        df.assign(key=["a", "b"]),
        id_col="key",
        best_of=3,
        check=passes,
        max_parallel=1,
    ).wait(LIMIT_S)
    best = session.best_df()
    assert best.index.tolist() == ["one", "two"] and best["path"].tolist() == ["a.py", "b.py"]
    assert best["solved"].tolist() == [True, False]
    assert best["candidate"].tolist() == [2, pd.NA]
    assert best["task_id"].tolist() == ["a-2", pd.NA]
    counts = ["n_candidates", "n_succeeded", "n_failed", "n_not_needed"]
    assert best[counts].to_numpy().tolist() == [[3, 1, 1, 1], [3, 0, 3, 0]]
    assert best["cost_usd"].tolist() == [0.5, 0.75]
    assert best["result"].tolist() == ["done", pd.NA] and best["ok"].tolist() == [True, pd.NA]
    assert "repeat" not in best.columns


def test_the_table_names_the_level_of_the_best(stub: Stub) -> None:
    session = cpr.map(
        "{do} {n}",
        pd.DataFrame({"n": [1]}),
        vary={"do": [plan(exit=3, result=None), plan(result={"result": "yes"})]},
        best_of=2,
        check="true",
    ).wait(LIMIT_S)
    best = session.best_df()
    assert best["result"].tolist() == ["yes"] and "yes" in best["do"].iloc[0]
    assert best["n_equal"].tolist() == [1]


def test_a_score_of_ones_own_ranks_what_has_ended(stub: Stub) -> None:
    answers = {"a-1": "x", "a-2": "xxx", "a-3": "xxx"}
    session = cpr.launch([{"id": "a", "prompt": "a"}], best_of=3, check="true", at_once=1)
    session.wait(LIMIT_S).resume(skipped=True).wait(LIMIT_S)
    session.score(lambda row: len(answers[row.task_id]))
    best = session.best_df()
    assert best[["candidate", "score", "margin", "n_equal"]].to_numpy().tolist() == [[2, 3, 0, 2]]


def test_a_column_of_the_frame_that_the_table_has_is_refused() -> None:
    with pytest.raises(
        cpr.InputError, match="best_of: the table of the best has a column 'margin'"
    ):
        df = pd.DataFrame({"margin": [1]})
        cpr.map("{margin}", df, best_of=2, check="true", dry_run=True)


def test_how_often_one_of_k_solves_a_row(stub: Stub) -> None:
    tasks = [{"id": one, "prompt": one} for one in "abcd"]
    passes = "case $CPR_TASK_ID in a-1|b-2|c-1) ;; *) exit 1 ;; esac"
    session = cpr.launch(tasks, best_of=2, at_once=1, check=passes).wait(LIMIT_S)
    table = session.pass_at_k()
    assert table["pass_at_k"].tolist() == [0.5, 0.75] and table["n_rows"].tolist() == [4, 4]
    assert table["pass_all_k"].isna().all(), "not known where candidates were left out"
    assert (table["pass_at_k_low"] < table["pass_at_k"]).all()
