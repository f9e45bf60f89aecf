"""``events_df`` with columns, types or a tail: the same rows as without, and no more work."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.session_folders import write_session

import cpr_nb as cpr

RECORDINGS = sorted((Path(__file__).parents[1] / "model" / "recordings").glob("*.jsonl"))
COLUMNS = list(cpr.events_df("/none").columns)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose streams are the recordings; one task has two attempts."""
    folder = tmp_path_factory.mktemp("results")
    streams = {path.stem: [path.read_bytes()] for path in RECORDINGS}
    streams["tools"] += streams["plain"]
    write_session(folder, streams)
    return folder


@pytest.fixture(scope="module")
def everything(results: Path) -> pd.DataFrame:
    return cpr.events_df(results)


@given(
    columns=st.none() | st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
    types=st.none()
    | st.sets(st.sampled_from(["assistant", "user", "result", "system", "x"]), min_size=1),
    tail=st.none() | st.integers(1, 40),
)
def test_the_rows_are_those_of_the_whole_table(
    results: Path,
    everything: pd.DataFrame,
    columns: list[str] | None,
    types: set[str] | None,
    tail: int | None,
) -> None:
    got = cpr.events_df(results, columns=columns, types=types, tail=tail)
    rows = everything if types is None else everything[everything["type"].isin(types)]
    if tail is not None:
        rows = rows.groupby(["task_id", "attempt"], sort=False).tail(tail)
    pd.testing.assert_frame_equal(got, rows[columns or COLUMNS].reset_index(drop=True))


def big_stream(n: int) -> bytes:
    """A stream with many calls and outputs, each of a thousand characters."""
    rng = random.Random(1)
    lines: list[dict[str, Any]] = [{"type": "system", "subtype": "init"}]
    for number in range(n):
        call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"n": number}}
        output = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "y" * 1000}
        lines.append({"type": "assistant", "message": {"role": "assistant", "content": [call]}})
        lines.append({"type": "user", "message": {"role": "user", "content": [output]}})
        if rng.random() < 0.01:
            lines.append({"type": "system", "subtype": "api_retry"})
    lines.append({"type": "result", "subtype": "success", "result": "done", "num_turns": 1})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(tmp_path_factory.mktemp("big"), {"a": [big_stream(20_000)]})


@pytest.mark.parametrize("tail", [1, 5, 900])
def test_a_tail_reads_only_the_end(big: Path, tail: int) -> None:
    whole = cpr.events_df(big.parent).tail(tail).reset_index(drop=True)
    session = cpr.attach("00000000", results_dir=big.parent)
    for got in (
        cpr.events_df(big.parent, tail=tail),
        session.events_df(tail=tail),
        session[0].events_df(tail=tail),
    ):
        unknown = ["seq", "result_index"]
        assert got[unknown].isna().all(axis=None)
        is_known = got["tool"].notna() | whole["tool"].isna()
        assert is_known[1:].all()  # the call of the first output may come before what was read
        rest = got.drop(columns=[*unknown, "tool"])
        pd.testing.assert_frame_equal(rest, whole.drop(columns=[*unknown, "tool"]))


@pytest.mark.parametrize(
    "wanted", [{"tail": 5}, {"types": "result"}, {"columns": ["type", "tool"]}], ids=str
)
def test_memory_is_that_of_what_is_asked_for(big: Path, wanted: dict[str, Any]) -> None:
    size_bytes = (big / "task-a.jsonl").stat().st_size
    cpr.events_df(big.parent, **wanted)
    tracemalloc.start()
    try:
        cpr.events_df(big.parent, **wanted)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < size_bytes / 3


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"columns": ["text", "txt"]}, "columns: 'txt' is no column; there are session_id"),
        ({"columns": []}, "columns: must be a text or several"),
        ({"types": [1]}, "types: must be a text or several"),
        ({"tail": 0}, "tail: must be a positive number of rows, not 0"),
        ({"tail": True}, "tail: must be a positive number of rows"),
        ({"tail": 2.5}, "tail: must be a positive number of rows"),
    ],
    ids=str,
)
def test_what_can_not_be_asked_for_is_refused(results: Path, wanted: Any, words: str) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.events_df(results, **wanted)


def test_lines_that_are_no_events_are_no_rows_and_a_warning(tmp_path: Path) -> None:
    write_session(tmp_path, {"a": [b"banner\n" + big_stream(2)]})
    with pytest.warns(UserWarning, match="line 1: no event"):
        table = cpr.events_df(tmp_path, tail=100, columns="seq")
    assert table["seq"].tolist() == [1, 2, 3, 4, 5, 6]
