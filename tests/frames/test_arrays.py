"""Columns of whole lists: the same as value by value, whatever the values are."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.frames import arrays
from cpr_nb.frames.arrays import CATEGORIES, TIME, series
from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columns import Column
from cpr_nb.model import states

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 64), 1 << 64),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["\ud800", "é", *states.OUTCOMES, *states.TASK_STATES]),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.just({"a": 1})
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
)
ODD_MOMENTS = st.sampled_from(
    ["", "now", "2026", "2026-02-30T00:00:00.000Z", "2026-13-01T00:00:00.000Z",
     "0000-01-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z",
     "2026-01-01T00:00:60.000Z",
     "2026-01-01T00:00:00.000+01", "2026-01-01 00:00:00.000Z", "2026-01-01T00:00:00+02:00",
     "٢٠٢٦-01-01T00:00:00.000Z", "2026-01-01T00:00:00.00Z", "Z2026-01-01T00:00:00.000Z"]
)  # fmt: skip
STORAGES = pytest.mark.parametrize("storage", ["python", "pyarrow"])


def known(column: pd.Series[Any]) -> list[Any]:
    return column.astype("object").where(column.notna(), None).tolist()


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists of one kind, and of all kinds."""
    return st.lists(values, max_size=6) | st.lists(values | VALUES, max_size=6)


@STORAGES
@given(values=lists(st.text(max_size=5) | st.none()))
def test_texts_are_those_that_are_texts(storage: str, values: list[Any]) -> None:
    with pd.option_context("mode.string_storage", storage):
        made = series(values, "string")
    assert made.dtype.storage == storage  # type: ignore[union-attr]
    expected = [
        v.encode("utf-8", "replace").decode() if isinstance(v, str) else None for v in values
    ]
    assert known(made) == expected


@given(lists(st.integers(-(1 << 64), 1 << 64) | st.none()))
def test_whole_numbers_that_fit_are_taken(values: list[Any]) -> None:
    def fits(value: Any) -> bool:
        whole = isinstance(value, float) and value.is_integer()
        return (type(value) is int or whole) and -(1 << 63) <= value < 1 << 63

    assert known(series(values, "Int64")) == [int(v) if fits(v) else None for v in values]


@given(lists(st.floats() | st.integers() | st.none()))
def test_finite_numbers_are_taken(values: list[Any]) -> None:
    def number(value: Any) -> float | None:
        try:
            found = float(value) if type(value) in (int, float) else math.nan
        except OverflowError:
            return None
        return found if math.isfinite(found) else None

    assert known(series(values, "Float64")) == [number(v) for v in values]


@given(lists(st.booleans() | st.none()))
def test_only_booleans_are_booleans(values: list[Any]) -> None:
    expected = [v if isinstance(v, bool) else None for v in values]
    assert known(series(values, "boolean")) == expected


@given(lists(st.sampled_from(states.OUTCOMES) | st.none()))
def test_a_word_of_a_category_is_one_of_its_words(values: list[Any]) -> None:
    made = series(values, "outcome")
    assert known(made) == [
        v if isinstance(v, str) and v in states.OUTCOMES else None for v in values
    ]
    assert made.dtype == pd.CategoricalDtype(CATEGORIES["outcome"], ordered=True)


@given(
    st.lists(MOMENTS, max_size=5)
    | st.lists(MOMENTS | st.none(), max_size=5)
    | lists(MOMENTS | ODD_MOMENTS)
)
def test_a_moment_is_what_the_standard_library_reads(values: list[Any]) -> None:
    def moment(value: Any) -> pd.Timestamp | None:
        try:
            at = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return None
        return pd.Timestamp(at.replace(tzinfo=at.tzinfo or UTC)).tz_convert("UTC").as_unit("us")

    made = series(values, TIME)
    assert made.dtype == pd.DatetimeTZDtype("us", "UTC")
    assert known(made) == [moment(v) for v in values]


def test_usual_moments_are_read_all_at_once() -> None:
    """Else the test above compares the slow way with itself."""
    usual = arrays._usual_timestamps(["2026-02-28T23:59:59.999Z", "0001-01-01T00:00:00.000Z"])
    assert usual is not None and usual.dtype == np.dtype("datetime64[us]")
    assert arrays._usual_timestamps(["2026-02-29T23:59:59.999Z"]) is None


# -- tables that grow -------------------------------------------------------------------------

COLUMNS = [Column("what", "string", ""), Column("n", "Int64", ""), Column("all", "object", "")]
BATCHES = st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.text(max_size=2)))


@given(BATCHES, st.integers(1, 5))
def test_a_table_that_grows_is_the_table_of_all_its_rows(batches: Any, n_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cpr_nb.frames.builder._PIECE_ROWS", n_rows)
        by_columns, by_rows = TableBuilder(COLUMNS), TableBuilder(COLUMNS)
        for numbers, what in batches:
            same = {"what": what, "all": [what]}
            by_columns.add({"n": numbers}, len(numbers), same)
            by_rows.add_rows({"n": number, **same} for number in numbers)
    assert by_columns.n_rows == by_rows.n_rows == sum(len(numbers) for numbers, _ in batches)
    pd.testing.assert_frame_equal(by_columns.frame(), by_rows.frame())
    rows = [(what, n, [what]) for numbers, what in batches for n in numbers]
    assert list(by_columns.frame().itertuples(index=False, name=None)) == rows
