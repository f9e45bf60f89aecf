"""A task's state and outcome: derived once, so that every interface shows the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import cpr_nb as cpr
from cpr_nb.cli.commands.status import status_lines
from cpr_nb.display import row_deltas
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store.layout import SessionPaths
from cpr_nb.views import attempts, rows
from cpr_nb.views.current_activity import ActivityFollower

JUNK = st.sampled_from([None, True, 0, 1, 1.5, "", "x", [], {}, ["ended"]])
STATES = st.sampled_from([*states.TASK_STATES, *states.SESSION_STATES]) | JUNK
TASKS = st.fixed_dictionaries(
    {},
    optional={
        "state": STATES,
        "status": STATES,
        "outcome": st.sampled_from(states.OUTCOMES) | JUNK,
        "success": st.sampled_from([0, 1]) | JUNK,
        "reason": st.sampled_from(states.REASONS),
        "started_at": st.just("2026-01-01T00:00:00.000Z"),
        "duration_s": st.just(1.5),
    },
)
HEAD = {"schema_version": 1, "overall_status": "completed", "total": 1}


@given(TASKS, st.booleans())
@example({"state": "running", "outcome": "failed"}, False)
@example({"state": "retrying", "outcome": "succeeded", "success": 1}, False)
@example({"status": "retrying"}, True)
@example({"status": "ended", "outcome": "lost"}, True)
@example({"status": "completed", "success": 1}, True)
def test_every_interface_shows_the_same_state_and_outcome(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any], legacy: bool
) -> None:
    task = {"task_num": 1, "transaction_id": "a", "prompt": "Do it", **fields}
    head = {**HEAD} if not legacy else {"overall_status": "completed", "total": 1}
    root = _write_session(tmp_path_factory.mktemp("r"), head, task)
    state, outcome = task_state(task)
    assert state in states.TASK_STATES
    assert (outcome in states.OUTCOMES) == (state == states.ENDED)

    session = cpr.attach(str(root))
    (handle,) = session
    assert (handle.state, handle.outcome) == (state, outcome)
    assert (handle.done(), handle.ok) == (state == states.ENDED, outcome == states.SUCCEEDED)
    assert (handle.reason is None) == (outcome is None)

    row = rows.task_row(session.snapshot, task)
    assert (row["state"], row["outcome"]) == (state, outcome)
    ok = None if outcome is None else outcome == states.SUCCEEDED
    assert row["ok"] is ok

    (frame_row,) = session.tasks_df().to_dict("records")
    assert frame_row["state"] == state and _cell(frame_row["outcome"]) == outcome
    (result,) = session.results_df().to_dict("records")
    assert _cell(result["outcome"]) == outcome and _cell(result["ok"]) == ok
    assert _cell(result["result"]) == ("done" if outcome == states.SUCCEEDED else None)

    shown = row_deltas.task_cells(0, task, "Do it", ActivityFollower(SessionPaths(str(root))))
    assert shown[row_deltas.Column.STATE] == (outcome or state)
    (times,) = attempts.task_times(session.snapshot)
    assert times.state == (outcome or state)

    lines = [line for line in status_lines(session.snapshot) if "(ID: a): " in line]
    word = lines[0].partition("(ID: a): ")[2]
    if outcome is None:
        assert word.startswith(state)
    else:
        assert word.startswith("completed")
        assert (outcome in word) == (outcome != states.SUCCEEDED)


def _write_session(folder: Path, head: dict[str, Any], task: dict[str, Any]) -> Path:
    root = folder / "session-abcd1234"
    root.mkdir()
    (root / "status.json").write_text(json.dumps({**head, "tasks": [task]}))
    (root / "task-a.txt").write_text("done\n")
    return root


def _cell(value: Any) -> Any:
    """A cell, None where it is missing."""
    return None if value is None or value != value or str(value) == "<NA>" else value
