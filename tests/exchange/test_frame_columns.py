"""The row that a task is about, as an export holds it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cpr_nb.exchange.frame_columns import read_columns
from cpr_nb.frames.frame_json import encode


def test_columns_come_back_as_plain_values(tmp_path: Path) -> None:
    times = pd.Series(pd.to_datetime(["2026-05-01T10:00:00", None]))
    frame = pd.DataFrame(
        {
            "n": [1, 2],
            "word": ["a", "b"],
            "level": pd.Categorical(["low", None], categories=["high", "low"]),
            "at": times,
            "zone": times.dt.tz_localize("UTC"),
            "took": pd.to_timedelta(["1.5s", None]),
            7: [None, {"x": 1}],
        }
    )
    path = tmp_path / "frame.json"
    path.write_text(json.dumps(encode(frame)))
    assert read_columns(str(path)) == {
        "n": [1, 2],
        "word": ["a", "b"],
        "level": ["low", None],
        "at": ["2026-05-01T10:00:00.000Z", None],
        "zone": ["2026-05-01T10:00:00.000Z", None],
        "took": [1.5, None],
        "7": [None, {"x": 1}],
    }


def test_a_damaged_frame_has_the_columns_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "frame.json"
    good = {"name": "n", "dtype": "int64", "values": [1]}
    bad = {"name": "b", "dtype": "category", "values": [0], "categories": {}}
    path.write_text(json.dumps({"columns": [bad, 5, good]}))
    assert read_columns(str(path)) == {"n": [1]}
