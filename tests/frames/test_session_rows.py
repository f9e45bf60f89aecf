"""Sessions as rows, all at once: the same as one by one, whatever their heads say."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broken import VALUES

import cpr_nb as cpr
from cpr_nb.frames import session_rows
from cpr_nb.frames.columns import table
from cpr_nb.frames.tasks import table_columns
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_marks
from cpr_nb.views.rows import session_row

HEAD = {
    "session_id": "1", "overall_status": "completed", "start_time": 5, "end_time": 9, "total": 4,
    "completed": 3, "successful": 1, "schema_version": 1, "cost_usd": 0.5, "name": "é",
    "state": "completed", "created_at": "2026-11-22T05:46:29.811Z", "duration_s": 3.25,
    "n_pending": 0, "n_running": 1, "n_succeeded": 1, "n_failed": 2, "n_denials": 3,
    "started_at": "2026-11-22T05:46:30.000Z", "updated_at": "2026-11-22T05:46:33.000Z",
}  # fmt: skip
TIMES = st.sampled_from(["2026-11-22T05:46:29.811Z", "2026-11-22", "", "now"])


@st.composite
def any_head(draw: st.DrawFn) -> bytes:
    """A head of ours, with some fields changed or left out."""
    head: dict[str, Any] = dict(HEAD)
    for name in draw(st.lists(st.sampled_from(sorted(HEAD)), max_size=4)):
        value = draw(st.just(...) | VALUES | TIMES | st.integers(0, 9))
        if value is ...:
            head.pop(name, None)
        else:
            head[name] = value
    return json.dumps(head).encode()[:-1] + b',\n"tasks":[\n]}\n'


@given(st.lists(any_head(), max_size=5))
def test_rows_all_at_once_are_the_rows_one_by_one(found: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, head in enumerate(found):
            path = Path(folder, f"session-{number}", "status.json")
            path.parent.mkdir()
            path.write_bytes(head)
            os.utime(path, (1e9, 1e9))  # else one that is broken is waited for
            os.utime(path.parent, (1e9, 1e9))
        sessions = catalog.list_sessions(folder)
        columns = table_columns("sessions_df", full=False)
        rows = (session_row(session, marks=read_marks()) for session in sessions)
        expected = table(rows, columns)
        pd.testing.assert_frame_equal(cpr.sessions_df(folder), expected)


def test_a_head_as_the_runner_writes_it_is_read_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above compares the slow way with itself."""
    for number in range(3):
        (tmp_path / f"session-{number}").mkdir()
        head = json.dumps({**HEAD, "start_time": number}).encode()[:-1]
        (tmp_path / f"session-{number}" / "status.json").write_bytes(head + b',\n"tasks":[\n]}\n')
    monkeypatch.setattr(session_rows, "read_session", None)
    assert cpr.sessions_df(tmp_path).session_id.tolist() == ["2", "1", "0"]
