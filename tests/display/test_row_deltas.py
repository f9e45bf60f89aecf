"""Rows for the browser: changes applied to the old rows give the new ones."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.display.row_deltas import Column, apply_changes, diff_rows, task_cells, title_of
from cpr_nb.store.layout import SessionPaths
from cpr_nb.views.current_activity import ActivityFollower

CELLS = st.none() | st.integers(0, 3) | st.sampled_from(["", "running", "$x$"]) | st.floats(0, 1)
ROWS = st.lists(CELLS, min_size=len(Column), max_size=len(Column))
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([])


@given(st.lists(st.tuples(ROWS, ROWS), max_size=5), st.sets(st.integers(0, 4)))
def test_changes_applied_to_the_old_rows_give_the_new_ones(
    both: list[tuple[list[Any], list[Any]]], at: set[int]
) -> None:
    old = [list(was) for was, _ in both]
    fresh = {n: both[n][1] for n in at if n < len(both)}
    expected = [fresh.get(n, was) for n, was in enumerate(old)]
    changes = json.loads(json.dumps(diff_rows(old, fresh)))
    apply_changes(old, changes)
    assert old == expected
    assert diff_rows(old, fresh) == []


@example({"cost_usd": float("nan"), "duration_s": float("inf"), "n_denials": True}, "")
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("transaction_id", "state", "outcome", "attempts", "cost_usd", "n_denials"),
                *("error", "duration_s", "started_at", "reason", "status", "prompt"),
            ]
        ),
        ANY,
    ),
    st.text(),
)
def test_any_task_is_a_row_that_a_browser_can_read(task: dict[str, Any], prompt: str) -> None:
    row = task_cells(
        0, task, title_of(prompt), ActivityFollower(SessionPaths("/no/such/session-1"))
    )
    assert len(row) == len(Column)
    for cell in row:
        assert cell is None or isinstance(cell, str | int | float)
    texts = [cell for cell in row if isinstance(cell, str)]
    assert all("\x1b" not in text and "\u202e" not in text for text in texts[1:])
    json.dumps(row, allow_nan=False)
