"""Frames that nobody would make on purpose, and people have."""

from __future__ import annotations

import warnings
from datetime import timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from dateutil.tz import tzoffset
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.frames.frame_json import decode, encode

LIMIT_S = 120.0
ONE = pd.DataFrame({"n": [1]})


def planned(template: Any, df: pd.DataFrame, **options: Any) -> list[dict[str, Any]]:
    return cpr.map(template, df, dry_run=True, claude_path="sh", **options)


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    back = decode(encode(frame))
    assert back is not None
    return back


# -- what another kernel finds ------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
        pd.Index([("a",), ("b", ("c", 2))], tupleize_cols=False),
        pd.period_range("2026-01", periods=2, freq="M"),
        pd.Index([None, ("a", 1)], dtype="object", tupleize_cols=False, name=("x", "y")),
        pd.MultiIndex.from_arrays([[("a", 1), ("b", 2)], [1, 2]]),
    ],
)
def test_labels_stay_labels(index: pd.Index) -> None:
    back = kept(pd.DataFrame({"n": [1, 2]}, index=index))
    assert back.index.tolist() == index.tolist() and back.index.names == index.names
    assert back.loc[[index[1]], "n"].tolist() == [2]


def test_names_may_be_tuples() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.Index([("a", "b"), "c"], tupleize_cols=False))
    assert kept(frame).columns.tolist() == [("a", "b"), "c"]


@pytest.mark.parametrize("dtype", ["date32[pyarrow]", "timestamp[us][pyarrow]", "period[D]"])
def test_days_of_any_kind_come_back(dtype: str) -> None:
    frame = pd.DataFrame({"d": pd.Series(["2026-01-01", None], dtype=dtype)})
    pd.testing.assert_frame_equal(kept(frame), frame)


@pytest.mark.parametrize(
    "zone",
    [timezone(timedelta(hours=1), "Mars"), tzoffset("Mars", 3600), "dateutil/Europe/Berlin"],
    ids=str,
)
def test_a_zone_that_nobody_else_knows_costs_the_zone_and_not_the_frame(zone: Any) -> None:
    times = pd.to_datetime(["2026-01-01"]).tz_localize(zone)
    back = kept(pd.DataFrame({"t": times, "n": [1]}))
    assert back["n"].tolist() == [1] and back["t"].tolist() == list(times)


def test_a_cell_within_itself_is_kept_as_text() -> None:
    cell: list[Any] = [1]
    cell.append(cell)
    other: dict[str, Any] = {}
    other["me"] = other
    back = kept(pd.DataFrame({"c": [cell, other]}))
    assert "[1, [...]]" in str(back["c"][0]) and "{...}" in str(back["c"][1])


# -- options from columns -----------------------------------------------------------------------


def test_whole_numbers_beside_a_missing_one_stay_whole() -> None:
    rows = planned("x", pd.DataFrame({"n": [3, None]}), max_turns_col="n", max_turns=9)
    assert [row["max_turns"] for row in rows] == [3, 9]
    rows = planned("x", pd.DataFrame({"n": [7, None]}), id_col="n")
    assert rows[0]["task_id"] == "7"
    with pytest.raises(cpr.InputError, match=r"df row 0.max_turns: must be .*, not 3.5"):
        planned("x", pd.DataFrame({"n": [3.5]}), max_turns_col="n")


@pytest.mark.parametrize("column", [["n"], {"n"}, "m"])
def test_a_column_of_options_has_a_name(column: Any) -> None:
    with pytest.raises(cpr.InputError, match="model_col: the frame has no column"):
        planned("x", ONE, model_col=column)


@pytest.mark.parametrize("name", ["n", "result", "ok"])
def test_a_schema_of_one_row_may_not_take_a_column_either(name: str) -> None:
    df = pd.DataFrame({"n": [1], "s": [{"a": int}]}).assign(result=1)
    df["s"] = [{name: int}]
    with pytest.raises(cpr.InputError, match=f"{name!r}"):
        planned("x", df, schema_col="s")


def test_texts_beside_objects_have_a_column_of_their_own() -> None:
    df = pd.DataFrame({"s": [{"a": int}, None], "result": [1, 2]})
    with pytest.raises(cpr.InputError, match="the results have a column 'result'"):
        planned("x", df, schema_col="s")
    assert len(planned("x", df, schema={"a": int})) == 2
    assert len(planned("x", df[:1], schema_col="s")) == 1


# -- placeholders -------------------------------------------------------------------------------


def test_a_column_goes_before_an_index_of_its_name() -> None:
    df = pd.DataFrame({"n": ["column"]}, index=pd.Index(["index"], name="n"))
    assert planned("{n}", df)[0]["prompt"] == "column"


def test_labels_are_shown_as_a_person_writes_them() -> None:
    index = pd.MultiIndex.from_arrays([["a"], [1]])
    with pytest.raises(cpr.InputError, match=r"^df row \('a', 1\): nothing"):
        planned("{m}", pd.DataFrame({"n": [1]}, index=index))
    assert planned(lambda row: repr(row.name), ONE.set_axis(index))[0]["prompt"] == "('a', 1)"


def test_names_in_any_script_are_places() -> None:
    df = pd.DataFrame({"größe": ["a"], "名": ["b"], "cafe\u0301": ["c"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as that they can be no placeholders
        assert planned("{größe}{名}{cafe\u0301}", df)[0]["prompt"] == "abc"


def test_a_column_that_cannot_be_a_placeholder_is_reported() -> None:
    df = pd.DataFrame({"file path": ["a"], "x": [1]})
    with pytest.warns(UserWarning, match=r"\{file path\} stays as it is, although there is such"):
        assert planned("{file path} {x}", df)[0]["prompt"] == "{file path} 1"


# -- factors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"ok": ["a"]}, r"vary\['ok'\]: every table of results has such a column"),
        ({"result": ["a"]}, r"vary\['result'\]: every table of results"),
        ({"session_id": ["a"]}, r"vary\['session_id'\]: every table of results"),
        ({"tone": ["a", None]}, r"vary\['tone'\]: has a missing value"),
        ({"tone": [float("nan")]}, r"vary\['tone'\]: has a missing value"),
        ({"file": ["a"]}, "the frame already has a column 'file'"),
        ({"env": [{"A": "secret"}]}, r"vary\['env'\]: can't vary: levels are stored"),
    ],
)
def test_factors_that_could_be_confused_with_columns(vary: dict[str, Any], words: str) -> None:
    df = ONE.set_index(pd.Index(["a.py"], name="file"))
    template = " ".join(f"{{{name}}}" for name in vary)
    with pytest.raises(cpr.InputError, match=words):
        planned(template, df, vary=vary)


@pytest.mark.usefixtures("stubbed")
def test_levels_are_whatever_text_can_be_made_of(stub: Stub) -> None:
    import datetime

    import numpy as np

    levels = [*np.arange(1), datetime.date(2026, 1, 1), [1], {"a": 2}, np.float64(0.5), "t"]
    session = cpr.map("{tone}", ONE, vary={"tone": levels}).wait(LIMIT_S)
    said = sorted(call["stdin"] for call in stub.calls().values())
    assert said == sorted(str(level) for level in levels)
    for out in (session.results_df(), cpr.attach(session.id).results_df()):
        assert out["tone"].tolist() == [0, "2026-01-01", [1], {"a": 2}, 0.5, "t"]
    assert len(session.summary()) == 6


def so(**answer: Any) -> str:
    return plan(result={"structured_output": answer})


@pytest.mark.usefixtures("stubbed")
def test_schemas_vary_too() -> None:
    schemas = [{"a": int}, {"b": int}]
    session = cpr.map("{do}", pd.DataFrame({"do": [so(a=1, b=2)]}), vary={"schema": schemas})
    out = session.wait(LIMIT_S).results_df()
    assert out["schema"].tolist() == [{"a": "int"}, {"b": "int"}]
    assert out["result"].tolist() == [{"a": 1, "b": 2}] * 2
    assert session.summary()["n"].tolist() == [1, 1]
    again = session.retry(all_tasks=True, schema={"a": int}).wait(LIMIT_S)
    assert again.results_df()["a"].tolist() == [1, 1]
