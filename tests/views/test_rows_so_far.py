"""How far the rows of a session are: now, and as they were at an earlier moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cpr_nb as cpr
from cpr_nb.model.record import base_fields
from cpr_nb.store.read import read_session
from cpr_nb.store.times import utc_iso
from cpr_nb.views.rows_so_far import RowsSoFar

BEGIN_S = 1_700_000_000.0


def task(begin_s: float | None = None, end_s: float | None = None, **fields: Any) -> dict[str, Any]:
    if begin_s is None:
        return {"state": "pending", "attempts": 0, **fields}
    began = {"attempts": 1, "started_at": utc_iso(BEGIN_S + begin_s)}
    if end_s is None:
        return {**began, "state": "running", **fields}
    usual = {"outcome": "succeeded", "reason": "completed", "cost_usd": end_s - begin_s}
    ends = {"ended_at": utc_iso(BEGIN_S + end_s), "duration_s": end_s - begin_s}
    return {**began, **ends, "state": "ended", "input_tokens": 100, **usual, **fields}


def rows_of(folder: Path, rows: list[list[dict[str, Any]]], **head: Any) -> RowsSoFar:
    """A session with so many tasks a row."""
    root = folder / "session-00000000-0000-4000-8000-000000000001"
    root.mkdir()
    tasks = [(row, one) for row, members in enumerate(rows) for one in members]
    specs = [{"id": f"t{number}", "row": row} for number, (row, _) in enumerate(tasks)]
    (root / "session.json").write_text(json.dumps({"tasks": specs}))
    usual = {"schema_version": 1, "overall_status": "completed", "start_time": int(BEGIN_S)}
    listed = [{**base_fields(n + 1, f"t{n}", "p"), **one} for n, (_, one) in enumerate(tasks)]
    status = {**usual, "total": len(tasks), "max_parallel": 2, **head, "tasks": listed}
    (root / "status.json").write_text(json.dumps(status))
    return RowsSoFar(read_session(str(root)))


def test_a_row_is_the_sum_of_its_tasks(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [[task(0, 4), task(4, 6)], [task(0, 1), task(1, 8)]])
    progress = rows.progress()
    assert [row.cost_usd for row in progress.ended] == [6.0, 8.0]
    assert [row.n_tokens for row in progress.ended] == [200, 200]
    assert (progress.tasks_per_row, progress.n_slots, progress.elapsed_s) == (2, 2, 8.0)
    assert rows.ends_s() == [BEGIN_S + 6, BEGIN_S + 8]


def test_earlier_a_task_that_ended_later_still_ran(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [[task(0, 4)], [task(0, 8)], [task(4, 8)]])
    progress = rows.progress(BEGIN_S + 4)
    assert [row.cost_usd for row in progress.ended] == [4.0]
    assert [row.cost_usd for row in progress.running] == [4.0, 0.0]
    assert (progress.spent_usd, progress.n_more, progress.elapsed_s) == (8.0, 0, 4.0)
    assert rows.progress(BEGIN_S + 2).n_more == 1


def test_a_gap_in_which_nothing_ran_is_no_time(tmp_path: Path) -> None:
    assert rows_of(tmp_path, [[task(0, 4)], [task(100, 103)]]).progress().elapsed_s == 7.0


@pytest.mark.parametrize(
    ("fields", "is_missing", "is_failed"),
    [
        ({"outcome": "failed", "reason": "check_failed"}, False, True),
        ({"outcome": "timed_out", "reason": "timeout"}, False, True),
        ({"outcome": "failed", "reason": "overloaded"}, True, False),
        ({"outcome": "cancelled", "reason": "cancelled"}, True, False),
        ({"outcome": "cancelled", "reason": "not_needed"}, False, False),
    ],
    ids=["check", "time", "overloaded", "cancelled", "not needed"],
)
def test_failures_count_and_what_says_nothing_is_missing(
    tmp_path: Path, fields: dict[str, str], is_missing: bool, is_failed: bool
) -> None:
    (row,) = rows_of(tmp_path, [[task(0, 4, **fields)]]).progress().rows
    assert (row.is_missing, row.is_failed) == (is_missing, is_failed)


def test_what_is_unknown_is_said(tmp_path: Path) -> None:
    rows = [[task(n, n + 1, n_denials=int(n < 2))] for n in range(25)]
    rows[3][0]["cost_usd"] = None
    rows[4][0] |= {"outcome": "failed", "reason": "network"}
    held = {"state": "ended", "outcome": "skipped", "reason": "pilot", "attempts": 0}
    head = {"pilot": {"state": "ended", "n_tasks": 25, "n_held": 25}}
    rows_of(tmp_path, [*rows, *[[held] for _ in range(25)]], **head)
    (folder,) = tmp_path.iterdir()
    text = " ".join(str(cpr.Session(folder).forecast()).split())
    assert "2 of 24 asked for something and were denied" in text
    assert "The cost of 1 row is unknown" in text
    assert "1 row ended without saying anything about others" in text
    assert "25 of 50 rows ended" in text
