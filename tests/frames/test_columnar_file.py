"""Files of tables: what comes back is what was written, or nothing."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.frames.columnar_file import encode_tables, open_columnar_file
from cpr_nb.frames.columns import TIME, Column, table
from cpr_nb.model import states

COLUMNS = [
    Column("text", "string", ""),
    Column("word", "string", ""),
    Column("whole", "Int64", ""),
    Column("number", "Float64", ""),
    Column("yes", "boolean", ""),
    Column("at", TIME, ""),
    Column("outcome", "outcome", ""),
    Column("any", "object", ""),
]
DTYPES = {column.name: column.dtype for column in COLUMNS}
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.text(max_size=6),
            "word": st.sampled_from(["assistant", "é", ""]),
            "whole": st.integers(-(1 << 63), (1 << 63) - 1),
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "yes": st.booleans(),
            "at": st.sampled_from(["2026-11-22T05:46:29.811Z", "0001-01-01", "9999-12-31"]),
            "outcome": st.sampled_from(states.OUTCOMES),
            "any": st.recursive(
                st.integers() | st.text(max_size=3) | st.floats(allow_nan=False),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner),
                max_leaves=4,
            ),
        },
    ),
    max_size=12,
)
STORAGES = pytest.mark.parametrize("storage", ["python", "pyarrow"])
SOME = [
    {"text": "añ", "word": "x", "whole": 1, "number": 0.5, "at": "2026-01-01", "any": {"a": [1]}},
    {"text": None, "word": "x", "yes": True, "outcome": "failed"},
] * 3  # fmt: skip


def written(made: pd.DataFrame, kind: str = "kind") -> bytes:
    return b"".join(part.tobytes() for part in encode_tables(kind, {"rows": (made, DTYPES)}))


def read(data: bytes, kind: str = "kind") -> pd.DataFrame:
    return open_columnar_file(io.BytesIO(data), kind).read("rows")


@pytest.mark.slow
@STORAGES
@given(rows=ROWS, parts=st.integers(1, 3))
def test_what_comes_back_is_what_was_written(storage: str, rows: Any, parts: int) -> None:
    with pd.option_context("mode.string_storage", storage):
        made = pd.concat([table(rows, COLUMNS)] * parts, ignore_index=True)
        pd.testing.assert_frame_equal(read(written(made)), made)
        part = made.iloc[len(made) // 3 :]  # texts that begin somewhere inside
        back = read(written(part))
        pd.testing.assert_frame_equal(back, part.reset_index(drop=True))


@STORAGES
def test_what_one_has_written_the_other_reads(storage: str) -> None:
    """With pyarrow and without it."""
    other = {"python": "pyarrow", "pyarrow": "python"}[storage]
    with pd.option_context("mode.string_storage", storage):
        data = written(table(SOME, COLUMNS))
    with pd.option_context("mode.string_storage", other):
        pd.testing.assert_frame_equal(read(data), table(SOME, COLUMNS))


@pytest.mark.slow
@given(st.data())
def test_a_file_that_is_not_as_it_was_written_is_refused(data: st.DataObject) -> None:
    made = table(SOME, COLUMNS)
    whole = written(made)
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    broken = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([byte]) + whole[at + 1 :], whole[at:]])
    )
    try:
        back = read(broken)
    except ValueError:
        return
    pd.testing.assert_frame_equal(back, made)


@given(st.binary(max_size=200))
def test_a_foreign_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read(data)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError):
        read(written(table(SOME, COLUMNS), "other"))


def test_a_table_may_be_changed_by_who_has_it() -> None:
    data = written(table(SOME, COLUMNS))
    made, again = read(data), read(data)
    made.loc[0, "whole"] = 7
    made.loc[0, "text"] = "new"
    made["number"] += 1
    assert made.loc[0, "whole"] == 7 and made.loc[0, "text"] == "new"
    pd.testing.assert_frame_equal(again, table(SOME, COLUMNS))
