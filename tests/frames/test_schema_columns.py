"""Answers as typed columns: what fits is there, what does not is missing, nothing is invented."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any, Literal

import jsonschema
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from testkit.schemas import N, S, of
from testkit.schemas_draw import COMMON, JSON, like_schemas, tidy_schemas

from cpr_nb.frames.columns import TIME
from cpr_nb.frames.schema_columns import (
    DAY,
    RESULT_COLUMNS,
    AnswerColumn,
    answer_columns,
    answer_table,
    check_collisions,
)
from cpr_nb.model.errors import InputError
from cpr_nb.model.schemas.answer import read_schema

NULL = {"type": "null"}
LEVELS = {"enum": ["low", "high", "middle"]}
DEFS = {
    "$defs": {
        "Level": {**LEVELS, "description": "how bad"},
        "Tree": of(n=N, kids={"type": "array", "items": {"$ref": "#/$defs/Tree"}}),
        "Chain": of(n=N, next={"anyOf": [{"$ref": "#/$defs/Chain"}, NULL]}),
        "Loop": {"$ref": "#/$defs/Loop"},
    }
}


def column(schema: Any, **more: Any) -> AnswerColumn:
    (found,) = answer_columns({**of(n=schema), **DEFS}, **more)
    assert (found.name, found.path) == ("n", ("n",))
    return found


def cells(schema: Any, *values: Any) -> list[Any]:
    """What becomes of values in a column; None for what is missing."""
    table = answer_table([{"n": value} for value in values], {**of(n=schema), **DEFS})
    assert table.dtypes["n"] == answer_table([], {**of(n=schema), **DEFS}).dtypes["n"]
    return [None if is_missing(value) else value for value in table["n"]]


def is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


@pytest.mark.parametrize(
    ("schema", "dtype"),
    [
        (S, "string"),
        ({**S, "format": "uuid"}, "string"),
        (N, "Int64"),
        ({"type": "number"}, "Float64"),
        ({"type": "boolean"}, "boolean"),
        ({**S, "format": "date-time"}, TIME),
        ({**S, "format": "date"}, DAY),
        (LEVELS, "category"),
        ({**S, **LEVELS}, "category"),
        ({"enum": [2, 1]}, "category"),
        ({"const": "a"}, "category"),
        ({"$ref": "#/$defs/Level"}, "category"),
        ({"anyOf": [{"$ref": "#/$defs/Level"}, NULL]}, "category"),
        ({"oneOf": [NULL, N]}, "Int64"),
        ({"type": ["integer", "null"]}, "Int64"),
        ({**N, "nullable": True}, "Int64"),
        ({"allOf": [{"$ref": "#/$defs/Level"}], "default": "low"}, "category"),
        ({"allOf": [{}, N]}, "Int64"),
        ({"anyOf": [N, {"type": "number"}, NULL]}, "Float64"),
        ({"type": ["integer", "number"]}, "Float64"),
        ({"anyOf": [{"const": "a"}, {"enum": ["b", None]}]}, "category"),
        ({"anyOf": [S, {"const": "auto"}]}, "string"),
        ({"anyOf": [{**S, "format": "date"}, S]}, "string"),
        ({"anyOf": [{**S, "format": "date"}, {**S, "format": "date-time"}]}, "string"),
        ({"anyOf": [N, S]}, "object"),
        ({"type": ["string", "integer"]}, "object"),
        ({"enum": [1, True]}, "object"),
        ({"enum": [[1], "a"]}, "object"),
        ({"enum": [None]}, "object"),
        ({"type": "array", "items": S}, "object"),
        ({"items": S}, "object"),
        (of(x=N), "object"),
        ({"properties": {"x": N}}, "object"),
        (NULL, "object"),
        ({}, "object"),
        (True, "object"),
        ({"$ref": "#/$defs/Tree"}, "object"),
        ({"$ref": "#/$defs/Loop"}, "object"),
        ({"$ref": "#/$defs/None"}, "object"),
        ({"$ref": "https://example.com"}, "object"),
    ],
    ids=str,
)
def test_a_property_is_a_column_of_its_dtype(schema: Any, dtype: str) -> None:
    assert column(schema).dtype == dtype
    table = answer_table([None, {}], {**of(n=schema), **DEFS})
    assert str(table.dtypes["n"]) == dtype and table["n"].isna().all()


def test_columns_are_in_the_schemas_order_with_what_it_says_of_them() -> None:
    z = {**N, "description": "a count"}
    schema = {**of(z=z, a={"$ref": "#/$defs/Level"}, m=S), **DEFS}
    assert answer_columns(schema) == (
        AnswerColumn("z", "Int64", "a count", (), ("z",), frozenset({"integer"})),
        AnswerColumn(
            "a", "category", "how bad", ("low", "high", "middle"), ("a",), frozenset({"string"})
        ),
        AnswerColumn("m", "string", "", (), ("m",), frozenset({"string"})),
    )
    assert list(answer_table([], schema).columns) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("schema", "values", "found"),
    [
        (S, ["a", "", None, 1, ["a"], "\ud800"], ["a", "", None, None, None, "?"]),
        (N, [3, 3.0, 3.5, True, "3", 2**63, -(2**63)], [3, 3, None, None, None, None, -(2**63)]),
        (
            {"type": "number"},
            [1, 1.5, True, "1", 1e400, 10**400],
            [1.0, 1.5, None, None, None, None],
        ),
        ({"type": "boolean"}, [True, False, 1, "true", None], [True, False, None, None, None]),
        (LEVELS, ["high", "HIGH", "", 1, None, ["low"]], ["high", *[None] * 5]),
        ({"enum": [1, 2.5, "1"]}, [1, 1.0, True, 2.5, "1", 3], [1, 1, None, 2.5, "1", None]),
        ({"enum": [True, False]}, [True, 1, 0], [True, None, None]),
        ({"enum": ["[1]", "None"]}, [[1], None, "[1]"], [None, None, "[1]"]),
        ({"enum": [2**70, -1]}, [2**70, -1, 2.0**70], [2**70, -1, 2**70]),
        ({"enum": ["\ud800", "a"]}, ["\ud800", "?", "a"], ["?", None, "a"]),
        ({"enum": ["\ud800", "?"]}, ["\ud800", "?", "a"], ["\ud800", "?", "a"]),
        ({"type": "array"}, [[1], [], {}, "a", None], [[1], [], None, None, None]),
        (of(x=N), [{"x": 1}, {}, [1]], [{"x": 1}, {}, None]),
        ({"anyOf": [N, S]}, [1, 1.0, 1.5, "a", True], [1, 1.0, None, "a", None]),
        ({}, [1, "a", [1], False], [1, "a", [1], False]),
        (NULL, [None, 1], [None, None]),
        (
            {**S, "format": "date"},
            ["2026-05-01", "2026-02-30", "2026-05-01T00:00", "20260501", "soon", 5, "0001-01-01"],
            [datetime(2026, 5, 1), *[None] * 5, datetime(1, 1, 1)],  # noqa: DTZ001
        ),
        (
            {**S, "format": "date-time"},
            ["2026-05-01T10:00:00+02:00", "2026-05-01 10:00:00.5Z", "2026-05-01T10:00",
             "2026-05-01", "2026-W01-1T10:00", "soon", 5, "0001-01-01T00:00:00+14:00"],
            [datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 10, microsecond=500000,
             tzinfo=UTC), datetime(2026, 5, 1, 10, tzinfo=UTC), *[None] * 5],
        ),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_fits_is_there_and_the_rest_is_missing(
    schema: Any, values: list[Any], found: list[Any]
) -> None:
    assert cells(schema, *values) == found


def test_categories_are_in_the_schemas_order_and_not_ordered() -> None:
    table = answer_table([{"n": "low"}], of(n=LEVELS))
    assert table["n"].cat.categories.tolist() == ["low", "high", "middle"]
    assert not table["n"].cat.ordered
    # What is of no known order must not be compared.
    with pytest.raises(TypeError):
        _ = table["n"] > "low"


def test_the_index_is_the_callers_and_an_answer_may_be_anything() -> None:
    index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 3)])
    table = answer_table([{"n": 1}, None, "n"], of(n=N), index)
    assert table.index.equals(index) and table["n"].tolist() == [1, pd.NA, pd.NA]
    empty = answer_table([], of(n=N), pd.Index([], dtype="string"))
    assert len(empty) == 0 and str(empty.index.dtype) == "string"


def test_without_a_schema_there_are_rows_and_no_columns() -> None:
    for schema in (None, {}, {"type": "object"}, {"properties": 3}, "x"):
        table = answer_table([{"n": 1}, None], schema, pd.Index(["a", "b"]))  # type: ignore[arg-type]
        assert table.shape == (2, 0) and table.index.tolist() == ["a", "b"]


# -- nested objects ---------------------------------------------------------------------------

PLACE = of(city=S, at={"anyOf": [of(lat={"type": "number"}), NULL]}, tags={"type": "array"})


def flat(schema: Any) -> list[str]:
    return [found.name for found in answer_columns(schema, flatten=True)]


def test_flatten_makes_columns_of_nested_objects() -> None:
    schema = of(n=N, place=PLACE, any={"type": "object"})
    assert flat(schema) == ["n", "place.city", "place.at.lat", "place.tags", "any"]
    answers = [
        {"n": 1, "place": {"city": "Bonn", "at": {"lat": 50.7}, "tags": ["x"]}, "any": {"k": 1}},
        {"n": 2, "place": {"city": 5, "at": None}},
        {"n": 3, "place": "Bonn"},
        None,
    ]
    table = answer_table(answers, schema, flatten=True)
    assert table["place.city"].tolist() == ["Bonn", pd.NA, pd.NA, pd.NA]
    assert table["place.at.lat"].tolist() == [50.7, pd.NA, pd.NA, pd.NA]
    assert table["place.tags"].tolist() == [["x"], None, None, None]
    assert list(answer_table(answers, schema).columns) == ["n", "place", "any"]


def test_flatten_ends_where_an_object_holds_itself() -> None:
    schema = {**of(a={"$ref": "#/$defs/Chain"}, b={"$ref": "#/$defs/Tree"}), **DEFS}
    assert flat(schema) == ["a.n", "a.next", "b.n", "b.kids"]
    value = {"a": {"n": 1, "next": {"n": 2, "next": None}}}
    assert answer_table([value], schema, flatten=True)["a.next"].tolist() == [
        {"n": 2, "next": None}
    ]


def test_an_object_stays_one_where_two_columns_would_have_one_name() -> None:
    assert flat(of(**{"a.b": N, "a": of(b=S)})) == ["a.b", "a"]
    assert flat(of(**{"a": of(b=S), "a.b": N})) == ["a", "a.b"]
    assert flat(of(a=of(**{"b.c": N, "b": of(c=S)}), d=of(e=N))) == ["a", "d.e"]


def test_flatten_does_not_make_columns_without_end() -> None:
    parts = {f"P{n}": of(x={"$ref": f"#/$defs/P{n + 1}"}, y={"$ref": f"#/$defs/P{n + 1}"})
             for n in range(60)}  # fmt: skip
    schema = {**of(a={"$ref": "#/$defs/P0"}), "$defs": {**parts, "P60": N}}
    assert flat(schema) == ["a"]
    wide = {"type": "object", "properties": {f"p{n}": of(x=N, y=N) for n in range(600)}}
    names = flat(wide)
    assert names[:2] == ["p0.x", "p0.y"] and names[-1] == "p599" and len(names) <= 1100
    deep: Any = N
    for _ in range(300):
        deep = of(d=deep)
    assert flat(of(a=deep)) == ["a" + ".d" * 19]


def test_a_schema_of_a_strangers_session_costs_no_more_than_others() -> None:
    """It comes from the disk, where nobody has checked it."""
    doubling = {f"P{n}": {"anyOf": [{"$ref": f"#/$defs/P{n + 1}"}] * 2} for n in range(60)}
    schema = {**of(n={"$ref": "#/$defs/P0"}), "$defs": {**doubling, "P60": N}}
    assert [found.dtype for found in answer_columns(schema)] == ["Int64"]
    deep: Any = N
    for _ in range(5_000):
        deep = {"anyOf": [deep]}
    assert cells(deep, 1, "a") == [1, "a"]


# -- collisions -------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_refused_with_the_way_out() -> None:
    check_collisions(["n", "m"], ["path", 3, ("a", "b")])
    for name in RESULT_COLUMNS:
        with pytest.raises(InputError, match=f"^schema: the field '{name}' has the name of a col"):
            check_collisions([name], [])
    with pytest.raises(InputError, match="'cost' has the name of a column that every table"):
        check_collisions(["n", "cost"], ["cost"], further=["cost"])
    words = "x.schema: the frame already has a column 'path': give the field another name, or drop"
    with pytest.raises(InputError, match=words):
        check_collisions(["n", "path"], pd.Index(["path"]), "x.schema")


# -- anything ---------------------------------------------------------------------------------

VALUES = COMMON | JSON | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), COMMON, max_size=3)
FIELDS = st.sampled_from(["n", "m", "place", "a.b", "place.x"])
ANSWERS = st.lists(st.dictionaries(FIELDS, VALUES) | VALUES, max_size=4)


def at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def cleaned(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def is_the_same(cell: Any, value: Any) -> bool:
    """Whether a cell says what JSON says, and nothing else."""
    if isinstance(cell, pd.Timestamp):
        if cell.tzinfo is None:
            return date.fromisoformat(value) == cell.date() and cell == cell.normalize()
        moment = datetime.fromisoformat(value)
        return cell == pd.Timestamp(moment.replace(tzinfo=moment.tzinfo or UTC))
    if isinstance(value, str):
        return cell in (value, cleaned(value))
    return isinstance(cell, bool | type(pd.NA)) == isinstance(value, bool) and bool(cell == value)


@pytest.mark.slow
@settings(max_examples=400)
@given(tidy_schemas() | like_schemas() | JSON, ANSWERS, st.booleans())
@example(of(n={"enum": ["None", "1"]}), [{"n": None}, {"n": 1}], False)
@example({"properties": {"n": {"enum": [float("nan")]}}}, [{"n": float("nan")}], False)
@example({"properties": {"n": {"type": [["a"], 5], "format": []}}}, [{"n": 1}], True)
@example({"properties": {"n": {"anyOf": [{"$ref": ["#"]}, {"enum": 5}]}}}, [{"n": 1}], True)
def test_any_answer_by_any_schema_is_a_table_that_invents_nothing(
    schema: Any, answers: list[Any], flatten: bool
) -> None:
    before = copy.deepcopy(answers)
    table = answer_table(answers, schema, flatten=flatten)
    columns = answer_columns(schema, flatten)
    assert list(table.columns) == [found.name for found in columns] and table.columns.is_unique
    assert len(table) == len(answers) and answers == before
    assert table.dtypes.equals(answer_table([], schema, flatten=flatten).dtypes)
    for found in columns:
        for cell, answer in zip(table[found.name].tolist(), answers, strict=True):
            value = at(answer, found.path)
            if isinstance(value, list | dict):
                assert cell is value or is_missing(cell)
            elif not is_missing(cell):
                assert is_the_same(cell, value), (found, cell, value)


@settings(max_examples=400)
@given(tidy_schemas(), ANSWERS)
def test_what_the_schema_allows_is_not_lost(schema: Any, answers: list[Any]) -> None:
    schema = read_schema(schema)
    table = answer_table(answers, schema)
    for found in answer_columns(schema):
        if found.dtype in (TIME, DAY):
            continue  # no draft checks these
        only = jsonschema.Draft7Validator({**schema, "required": [found.name]})
        for cell, answer in zip(table[found.name].tolist(), answers, strict=True):
            value = at(answer, found.path)
            too_large = isinstance(value, int | float) and not -(2**63) <= value < 2**63
            if value is not None and not too_large and only.is_valid({found.name: value}):
                assert not is_missing(cell), (found, value)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["low", "high", None, "x", 3]), max_size=5))
def test_a_type_and_its_table_are_of_one_mind(values: list[Any]) -> None:
    schema = read_schema({"n": Literal["low", "high"]})
    table = answer_table([{"n": value} for value in values], schema)
    assert [v if isinstance(v, str) else None for v in table["n"].astype(object)] == [
        value if value in ("low", "high") else None for value in values
    ]
