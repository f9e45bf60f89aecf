"""cpr.map and results_df, as a user calls them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.stub import Stub, plan

import cpr_nb as cpr
import cpr_nb.pandas

pytestmark = pytest.mark.usefixtures("stubbed")
LIMIT_S = 120.0
FIGURES = ["ok", "outcome", "cost_usd", "duration_s", "session_id", "task_id"]
BAD = plan(result=None, exit=3)


def said(text: str) -> str:
    return plan(result={"result": text})


@pytest.fixture
def df() -> pd.DataFrame:
    return pd.DataFrame(
        {"path": ["a.py", "b.py", "c.py"], "do": [said("A"), BAD, said("C")]}, index=["x", "y", "z"]
    )


def test_a_frame_goes_in_and_comes_back_with_the_answers(df: pd.DataFrame, stub: Stub) -> None:
    before = df.copy()
    session = cpr.map("Review {path}. {do}", df, attempts=1).wait(LIMIT_S)
    out = session.results_df()
    assert list(out.columns) == ["path", "do", "result", *FIGURES]
    pd.testing.assert_frame_equal(out[["path", "do"]], before)
    assert out["result"].tolist() == ["A", pd.NA, "C"]
    assert out["ok"].tolist() == [True, False, True]
    assert out["outcome"].tolist() == ["succeeded", "failed", "succeeded"]
    assert set(out["session_id"]) == {session.id}
    assert out["task_id"].tolist() == [task.id for task in session]
    assert out["cost_usd"].tolist() == [0.25, pd.NA, 0.25]
    assert (out["duration_s"] > 0).all()
    prompts = [call["stdin"] for call in stub.calls().values()]
    assert sorted(prompt[:12] for prompt in prompts) == [f"Review {n}.py." for n in "abc"]
    pd.testing.assert_frame_equal(df, before)


def test_the_accessor_does_the_same(df: pd.DataFrame) -> None:
    out = df.cpr.map("{do}", attempts=1).wait(LIMIT_S).results_df()
    assert out.index.tolist() == ["x", "y", "z"] and out.loc["z", "result"] == "C"


def test_it_is_partial_while_the_session_runs(stub: Stub) -> None:
    stub.fifos("held")
    df = pd.DataFrame({"do": [said("first"), plan(here="held", gate="held")]})
    session = cpr.map("{do}", df, max_parallel=2)
    stub.await_here("held")
    session.wait_until(session[0].done, LIMIT_S, "the first")
    out = session.results_df()
    assert out["result"].tolist() == ["first", pd.NA]
    assert out["ok"].tolist() == [True, pd.NA] and out["outcome"].tolist()[1] is not True
    assert out["outcome"].isna().tolist() == [False, True]
    stub.release("held")
    full = session.wait(LIMIT_S).results_df()
    assert full["result"].tolist() == ["first", "done"]
    assert full.dtypes.equals(out.dtypes)


def test_another_process_finds_frame_and_answers(df: pd.DataFrame) -> None:
    session = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    pd.testing.assert_frame_equal(cpr.attach(session.id).results_df(), session.results_df())


def test_a_frame_without_its_file_still_gives_the_answers(df: pd.DataFrame) -> None:
    session = cpr.map("{do}", df[:1]).wait(LIMIT_S)
    Path(session.paths.frame).write_text("{")
    out = cpr.attach(session.id).results_df()
    assert list(out.columns) == ["prompt", "result", *FIGURES] and out["result"].tolist() == ["A"]


def test_a_session_without_a_frame_has_its_prompts() -> None:
    session = cpr.launch([said("A"), said("B")]).wait(LIMIT_S)
    out = session.results_df()
    assert list(out.columns) == ["prompt", "result", *FIGURES]
    assert out["result"].tolist() == ["A", "B"]


def test_a_launch_may_ask_for_fields_of_any_name() -> None:
    for name, value in (("prompt", "better"), ("ok", True), ("result", "x")):
        prompt = plan(result={"structured_output": {name: value}})
        session = cpr.launch([prompt], schema={name: type(value)}).wait(LIMIT_S)
        out = session.results_df()
        column = name if name == "result" else f"answer_{name}"
        assert out.columns.is_unique and out[column].tolist() == [value]
        assert out["prompt"].tolist() == [prompt]


@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["file", "line"]),
        pd.DatetimeIndex(["2026-01-01", "2026-01-02"], tz="Europe/Berlin", name="day"),
        pd.Index([2.5, -1.0]),
        pd.CategoricalIndex(["u", "v"]),
        pd.to_timedelta([1, 2], unit="s"),
        pd.Index([True, False]),
    ],
)
def test_any_index_comes_back(index: pd.Index) -> None:
    df = pd.DataFrame({"do": [said("1"), said("2")]}, index=index)
    session = cpr.map("{do}", df).wait(LIMIT_S)
    for out in (session.results_df(), cpr.attach(session.id).results_df()):
        pd.testing.assert_index_equal(out.index, df.index)
        assert out["result"].tolist() == ["1", "2"]


def test_index_levels_fill_places_too(stub: Stub) -> None:
    index = pd.MultiIndex.from_tuples([("a", 1)], names=["file", "line"])
    cpr.map("{file}:{line}", pd.DataFrame({"n": [0]}, index=index)).wait(LIMIT_S)
    assert [call["stdin"] for call in stub.calls().values()] == ["a:1"]


def test_options_come_from_columns(stub: Stub, work: Path) -> None:
    (work / "sub").mkdir()
    df = pd.DataFrame(
        {
            "p": ["one", "two"],
            "which": ["opus", None],
            "where": [None, "sub"],
            "rules": [["Bash(ls)"], None],
            "turns": pd.array([3, None], dtype="Int64"),
            "called": ["first", "second"],
        }
    )
    session = cpr.map(
        "{p}",
        df,
        model="sonnet",
        model_col="which",
        cwd_col="where",
        allow_col="rules",
        max_turns_col="turns",
        id_col="called",
    ).wait(LIMIT_S)
    calls = stub.calls()
    first, second = calls["first"]["argv"], calls["second"]["argv"]
    assert first[first.index("--model") + 1] == "opus"
    assert second[second.index("--model") + 1] == "sonnet"
    assert "--allowedTools=Bash(ls)" in first and "--max-turns" in first
    assert "--max-turns" not in second
    assert [calls[name]["cwd"] for name in ("first", "second")] == [str(work), str(work / "sub")]
    assert session.results_df()["task_id"].tolist() == ["first", "second"]


def test_the_prompt_may_come_from_a_function(stub: Stub) -> None:
    df = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5]}, index=["a", "b"])
    cpr.map(lambda row: f"{row.name} {row.n!r} {row.x!r}", df).wait(LIMIT_S)
    assert sorted(c["stdin"] for c in stub.calls().values()) == ["a 1 0.5", "b 2 1.5"]


def test_other_braces_stay(stub: Stub) -> None:
    df = pd.DataFrame({"n": ["{x}"]})
    cpr.map('{n} {{n}} {} {0} {"a": {"b": 1}}', df).wait(LIMIT_S)
    assert [c["stdin"] for c in stub.calls().values()] == ['{x} {n} {} {0} {"a": {"b": 1}}']


def fails(row: Any) -> str:
    raise KeyError("gone")


ONE = {"n": [1]}


@pytest.mark.parametrize(
    ("template", "data", "options", "words"),
    [
        ("{m}", ONE, {}, r"df row 0: nothing is called \{m\}"),
        ("{n}", {"n": [1.0, float("nan")]}, {}, r"df row 1: 'n' has no value there: df.dropna"),
        ("{n}", {"n": ["a", None]}, {}, "'n' has no value"),
        ("{n}", {"n": []}, {}, "df: has no rows"),
        ("  {n}", {"n": [" "]}, {}, "df row 0.prompt: is empty"),
        (3, ONE, {}, "template: must be a text"),
        (fails, ONE, {}, "df row 0: the function that makes the prompt failed: KeyError: 'gone'"),
        (lambda row: 3, ONE, {}, "must return a text, not int"),
        ("{n}", ONE, {"model_col": "m"}, "model_col: the frame has no column 'm'"),
        ("{n}", ONE, {"modl_col": "n"}, "unknown option 'modl_col'; did you mean model_col"),
        ("{n}", ONE, {"budget_usd_col": "n"}, "unknown option 'budget_usd_col'"),
        ("{n}", ONE, {"modl": "opus"}, "unknown option 'modl'; did you mean model"),
        ("{n}", ONE, {"effort_col": "n"}, "df row 0.effort: must be one of low"),
        ("{n}", {"n": [1, 2], "i": ["a", "a"]}, {"id_col": "i"}, "'a' is already that of"),
        ("{n}", {"n": [1], "ok": [1]}, {}, "df.columns: the results have a column 'ok'"),
        ("{n}", {"n": [1], "result": [1]}, {}, "the results have a column 'result'"),
        ("{n}", ONE, {"repeats": 0}, "repeats: must be a whole number, at least 1"),
        ("{n}", ONE, {"vary": {"model": []}}, r"vary\['model'\]: has no levels"),
        ("{n}", ONE, {"vary": {"model": "opus"}}, r"must be a list of levels, not 'opus'"),
        ("{n}", ONE, {"vary": {"tone": ["a"]}}, r"the template has no placeholder \{tone\}"),
        ("{n}", ONE, {"vary": {"n": [1]}}, r"the frame already has a column 'n'"),
        ("{n}", ONE, {"vary": {"effort": ["lowest"]}}, r"vary\[0\].effort: must be one of"),
        ("{n}", ONE, {"vary": {"model": ["a"]}, "model": "b"}, "model is also passed as an option"),
        ("{n}", ONE, {"vary": {"model": ["a"]}, "model_col": "n"}, "also passed as an option"),
        ("{n}", ONE, {"vary": {"name": ["a"]}}, "name is an option of the session"),
        ("{n}", ONE, {"vary": {"effort": ["low", "low"]}}, "'low' occurs twice"),
        ("{n}", {"n": [1], "repeat": [1]}, {"repeats": 2}, "'repeat'"),
    ],
)
def test_a_mistake_is_one_clear_error_and_nothing_is_made(
    template: Any, data: dict[str, Any], options: dict[str, Any], words: str, work: Path
) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.map(template, pd.DataFrame(data), **options)
    assert not (work / "results").exists()


@pytest.mark.parametrize(
    ("df", "words"),
    [
        (pd.DataFrame({"n": [1, 2]}, index=["a", "a"]), r"df.index: 'a' occurs twice"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"df.columns: 'a' occurs twice"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "several levels"),
        ([1, 2], "must be a pandas DataFrame, not list"),
    ],
)
def test_a_frame_with_ambiguous_rows_or_columns_is_refused(df: Any, words: str, work: Path) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.map("x", df)
    assert not (work / "results").exists()


def test_a_dry_run_shows_the_prompts_and_makes_nothing(df: pd.DataFrame, work: Path) -> None:
    rows = cpr.map("{path}", df, vary={"model": ["sonnet", "opus"]}, dry_run=True)
    assert [(row["prompt"], row["model"]) for row in rows][:2] == [
        ("a.py", "sonnet"),
        ("a.py", "opus"),
    ]
    assert len(rows) == 6 and not (work / "results").exists()


def test_a_slash_command_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="slash command"):
        cpr.map("/{n}", pd.DataFrame({"n": ["help"]}), dry_run=True)


def test_cells_of_any_kind_are_kept_as_far_as_json_can() -> None:
    df = pd.DataFrame({"o": [Path("/x"), {"a": [1]}], "t": pd.to_datetime(["2026-01-01", None])})
    session = cpr.map("x", df).wait(LIMIT_S)
    assert session.results_df()["o"].tolist() == [Path("/x"), {"a": [1]}]
    again = cpr.attach(session.id).results_df()
    assert again["o"].tolist() == ["/x", {"a": [1]}]
    pd.testing.assert_series_equal(again["t"], df["t"])


def test_the_frame_of_the_caller_can_change_afterwards(df: pd.DataFrame) -> None:
    session = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    df.loc["x", "path"] = "changed"
    assert session.results_df().loc["x", "path"] == "a.py"


# -- retries ----------------------------------------------------------------------------------


def test_the_newest_retry_counts(df: pd.DataFrame) -> None:
    session = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    assert session.results_df()["ok"].tolist() == [True, False, True]
    first = session.retry().wait(LIMIT_S)
    second = first.retry().wait(LIMIT_S)
    out = session.results_df()
    assert out["session_id"].tolist() == [session.id, second.id, session.id]
    assert second.results_df().index.tolist() == ["y"]
    assert cpr.attach(second.id).results_df()["path"].tolist() == ["b.py"]


def test_a_retry_of_what_succeeded_counts_when_it_has_ended(stub: Stub) -> None:
    stub.fifos("held")
    (stub.folder / "lock-l").touch()
    df = pd.DataFrame({"do": [plan(lock="l", result={"result": "R"})]})
    session = cpr.map("{do}", df).wait(LIMIT_S)
    import fcntl

    with (stub.folder / "lock-l").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        again = session.retry(all_tasks=True)
        assert session.results_df()["session_id"].tolist() == [session.id]
    again.wait(LIMIT_S)
    assert session.results_df()["session_id"].tolist() == [again.id]


def test_tables_say_where_their_sessions_are(df: pd.DataFrame, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    session = cpr.map("{do}", df, results_dir=elsewhere, attempts=1).wait(LIMIT_S)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = session.results_df().query("not ok").cpr.retry()
    assert again.wait(LIMIT_S).path.parent == elsewhere
    assert json.loads(Path(again.paths.session).read_text())["parent_session_id"] == session.id
