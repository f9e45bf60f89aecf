"""A user's frame in the session's folder: what comes back, and what is no frame."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.frames.frame_json import decode, encode, pick_rows

NUMBERS = pd.DataFrame({"n": [1, 2]}, index=["a", "b"])
# Strategies of a cell → the dtype of its column.
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "bool": st.booleans(),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "Float64": st.none() | st.floats(allow_nan=False),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | st.text(),
    "category": st.none() | st.text(max_size=3),
    "datetime64[us]": st.none() | st.integers(-(2**52), 2**52),
    "datetime64[s, Europe/Berlin]": st.none() | st.integers(-(2**33), 2**33),
    "timedelta64[ns]": st.none() | st.integers(-(2**52), 2**52),
    "object": st.none() | st.text() | st.integers() | st.booleans() | st.lists(st.integers()),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n_rows = draw(st.integers(1, 4))
    dtypes = draw(st.lists(st.sampled_from(sorted(CELLS)), max_size=4))
    columns: dict[Any, Any] = {}
    for number, dtype in enumerate(dtypes):
        cells = draw(st.lists(CELLS[dtype], min_size=n_rows, max_size=n_rows))
        name = draw(st.sampled_from([f"c{number}", number]))
        if dtype.startswith(("datetime", "timedelta")):
            cells = [pd.NaT if cell is None else cell for cell in cells]
            unit = dtype.partition("[")[2].rstrip("]").partition(",")[0]
            made = pd.Series(cells, dtype=f"{dtype.partition('[')[0]}[{unit}]")
            if "Berlin" in dtype:
                made = made.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
            columns[name] = made
        else:
            columns[name] = pd.Series(cells, dtype=dtype)
    frame = pd.DataFrame(columns, index=range(n_rows))
    labels = st.lists(st.integers() | st.text(), min_size=n_rows, max_size=n_rows)
    frame.index = pd.Index(draw(labels), name=draw(st.none() | st.text(min_size=1)))
    return frame


@given(frames())
def test_what_is_kept_comes_back(frame: pd.DataFrame) -> None:
    kept = json.loads(json.dumps(encode(frame), allow_nan=False))
    back = decode(kept)
    assert back is not None
    pd.testing.assert_frame_equal(back, frame, check_column_type=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["n_rows", "index", "columns", "dtype", "values", "name"]))
def test_what_is_no_kept_frame_is_none_or_a_frame(value: Any, where: str) -> None:
    kept = encode(NUMBERS)
    if where in kept:
        kept[where] = value
    else:
        kept["columns"][0][where] = value
    back = decode(kept)
    assert back is None or len(back) == 2


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"n_rows": 1},
        {"n_rows": 1, "index": [], "columns": []},
        {**encode(NUMBERS), "n_rows": 3},
        {**encode(NUMBERS), "columns": encode(NUMBERS[:1])["columns"]},
    ],
)
def test_half_of_one_is_none(kept: dict[str, Any]) -> None:
    assert decode(kept) is None


def test_the_order_of_categories_comes_back() -> None:
    values = pd.Categorical(["low", None], categories=["low", "high"], ordered=True)
    back = decode(encode(pd.DataFrame({"c": values})))
    assert back is not None and back["c"].dtype == values.dtype


def test_what_is_no_number_in_json_is_its_text() -> None:
    kept = json.dumps(encode(pd.DataFrame({"o": [[math.inf, math.nan], {"a": -math.inf}]})))
    back = decode(json.loads(kept))
    assert back is not None and back["o"].tolist() == [["inf", None], {"a": "-inf"}]


def test_rows_of_several_frames_come_in_their_order() -> None:
    other = pd.DataFrame({"n": [3], "m": ["x"]}, index=["c"])
    made = pick_rows([(NUMBERS, 1), (other, 0), (NUMBERS, 0)])
    assert made.index.tolist() == ["b", "c", "a"] and made["n"].tolist() == [2, 3, 1]
