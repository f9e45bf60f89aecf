"""Rows of a file as a frame, and tables as a file: nothing changes on the way."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.frames.rows_file import read_rows
from cpr_nb.frames.table_file import write_table
from cpr_nb.model.errors import InputError

CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(["", "007", "-0", "1.50", "True", "true", "NA", "nan", "1e5", " 1", "+1"]),
)
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5)
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(max_size=4)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


def as_csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue()


def written(table: pd.DataFrame, folder: Path, form: str) -> bytes:
    path = folder / f"table.{form}"
    write_table(table, str(path), form)
    return path.read_bytes()


@given(TABLES)
@example([["\r"], ["a"]])
@example([["9" * 18], ["-1"]])
@example([["007"], ["12"]])
@example([["-0"], ["+1"]])
@example([["1.50"], ["2.5"]])
@example([["True"], ["true"]])
@example([["0.1"], ["1e+16"]])
def test_cells_of_csv_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    header = [f"c{number}" for number in range(len(rows[0]))]
    frame = read_rows(as_csv([header, *rows]).encode(), "x", "csv").frame
    data = written(frame, tmp_path_factory.mktemp("csv"), "csv").decode()
    assert list(csv.reader(io.StringIO(data, newline=""))) == [header, *rows]
    for number, name in enumerate(header):  # and a prompt has them so
        cells = [None if pd.isna(value) else str(value) for value in frame[name]]
        assert cells == [row[number] or None for row in rows]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON, min_size=1), min_size=1, max_size=4))
@example([{"a": 1}, {"a": 2.5}])
@example([{"a": 10**30}])
@example([{"a": True}, {"b": [1, {"x": None}]}])
def test_values_of_json_lines_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    frame = read_rows(text.encode(), "x", "jsonl").frame
    data = written(frame, tmp_path_factory.mktemp("jsonl"), "jsonl")
    names = list(dict.fromkeys(name for row in rows for name in row))
    back = [json.loads(line) for line in data.decode().split("\n")[:-1]]
    assert back == [{name: row.get(name) for name in names} for row in rows]
    kinds = [{name: type(value) for name, value in row.items()} for row in back]
    assert kinds == [{name: type(row.get(name)) for name in names} for row in rows]


def test_parquet_keeps_types_and_a_named_index(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "at": pd.to_datetime(["2026-05-01", None], utc=True),
            "level": pd.Categorical(["low", "high"]),
            "mixed": [{"a": 1}, [2]],
            "names": [["a"], []],
        },
        index=pd.Index(["x", "y"], name="key"),
    )
    frame.attrs["secret"] = "/home/someone"
    data = written(frame, tmp_path, "parquet")
    assert b"/home/someone" not in data
    back = read_rows(data, "x", "parquet").frame
    assert list(back.columns) == ["key", "n", "at", "level", "mixed", "names"]
    assert str(back["n"].dtype) == "Int64" and back["n"].tolist() == [1, pd.NA]
    assert str(back["at"].dtype).startswith("datetime64") and pd.isna(back["at"][1])
    assert [list(names) for names in back["names"]] == [["a"], []]
    assert back["mixed"].map(json.loads).tolist() == [{"a": 1}, [2]]


def test_a_file_is_replaced_whole_and_a_link_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_table(pd.DataFrame({"a": [1]}), str(link), "csv")
    assert link.is_symlink() and target.read_text() == "a\n1\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "real.csv"]


def test_nothing_half_is_left_where_writing_fails(tmp_path: Path) -> None:
    folder = tmp_path / "taken.csv"
    folder.mkdir()
    (folder / "file").touch()
    with pytest.raises(OSError):
        from cpr_nb.frames import table_file

        table_file._replace(str(folder), b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_table(pd.DataFrame({"a": [1]}), str(pipe), "csv")
        assert os.read(reader, 100) == b"a\n1\n"
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        pytest.param(b"\xff\n1\n", "csv", id="no UTF-8"),
        pytest.param(b'{"a": 1}\n[', "jsonl", id="half a line"),
        pytest.param(b"PAR1", "parquet", id="half a Parquet file"),
        pytest.param(b"", "jsonl", id="no rows"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, form: str) -> None:
    with pytest.raises(InputError):
        read_rows(data, "x", form)
