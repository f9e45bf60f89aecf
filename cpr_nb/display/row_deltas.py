"""Rows for the browser, and what has changed between two polls."""

from __future__ import annotations

from enum import IntEnum

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.durations import session_duration_s, task_duration_s
from cpr_nb.views.formatting import total_tokens
from cpr_nb.views.nodes import node_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from cpr_nb.views.task_figures import TaskFigures

    Row = list[Any]
    Change = list[Any]

_PROMPT_CHARS = 160
_NOW_CHARS = 200


class Column(IntEnum):
    """The columns of a row; `widget.LiveWidget` hands them to table.js as constants.

    ``SINCE`` and ``STARTED`` are seconds since the epoch: the browser counts on from them by
    itself, so a clock costs no message. ``DURATION`` is in seconds, ``COST`` in USD. ``ESTIMATED``
    says whether ``COST`` and ``TOKENS`` are estimates of a running task.
    """

    KEY = 0
    NUM = 1
    STATE = 2
    TITLE = 3
    NOW = 4
    SINCE = 5
    STARTED = 6
    DURATION = 7
    COST = 8
    DENIED = 9
    TOKENS = 10
    ESTIMATED = 11
    NODE = 12


def title_of(prompt: str) -> str:
    """Returns the beginning of a prompt on one line."""
    return one_line(prompt, _PROMPT_CHARS)


def task_cells(
    index: int,
    task: dict[str, Any],
    title: str,
    follower: ActivityFollower,
    limit_bytes: int | None = None,
) -> Row:
    """Returns a task as a row, without what it has used (see `use_cells`).

    Args:
        index: Its number, from 0.
        task: Its fields in status.json.
        title: What to call it: the beginning of its prompt.
        follower: Describes what the task does now.
        limit_bytes: How much of its stream to read at most.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> follower = ActivityFollower(SessionPaths("/no/such/session-1"))
        >>> task_cells(0, {"transaction_id": "a", "state": "pending"}, "Do it", follower)
        ['a', 1, 'pending', 'Do it', '', None, None, None, None, 0, None, False, '']
    """
    state, outcome = task_state(task)
    is_running = state == states.RUNNING
    return [
        str(task.get("transaction_id", "")),
        index + 1,
        outcome or state,
        title,
        *activity_cells(task, follower, limit_bytes),
        rounded(parse_iso(task.get("started_at")), 1) if is_running else None,
        None if is_running else rounded(task_duration_s(task), 1),
        None,
        integer(task.get("n_denials")) or 0,
        None,
        False,
        node_of(task),
    ]


def activity_cells(
    task: dict[str, Any], follower: ActivityFollower, limit_bytes: int | None
) -> tuple[str, float | None]:
    """Returns a task's cells of `Column.NOW` and `Column.SINCE`."""
    line, since_s = follower.describe(task, limit_bytes)
    return line[:_NOW_CHARS], rounded(since_s, 1)


def use_cells(used: TaskFigures) -> tuple[float | None, int | None, bool]:
    """Returns a task's cells of `Column.COST`, `Column.TOKENS` and `Column.ESTIMATED`.

    Example:
        >>> from cpr_nb.views.task_figures import TaskFigures
        >>> use_cells(TaskFigures(64_000, 0.18004, is_estimate=True))
        (0.18, 64000, True)
    """
    return rounded(used.cost_usd, 4), used.n_tokens, used.is_estimate


def session_cells(snapshot: Snapshot, notice: str) -> Row:
    """Returns a session as a row of a dashboard.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> session_cells(Snapshot(SessionPaths("/r/session-3f2a"), {}, [], "stale"), "gone")[:5]
        ['3f2a', 0, 'stale', '3f2a', 'gone']
    """
    head, total = snapshot.head, snapshot.count("total")
    counts = [
        f"{snapshot.count(f'n_{state}')} {state}"
        for state in (states.SUCCEEDED, states.FAILED, states.RUNNING, states.PENDING)
        if snapshot.count(f"n_{state}")
    ]
    title = " ".join(str(part) for part in (snapshot.session_id[:8], head.get("name")) if part)
    return [
        snapshot.session_id,
        total,
        snapshot.state,
        one_line(title, _PROMPT_CHARS),
        one_line(" · ".join(part for part in (*counts, notice) if part), _NOW_CHARS),
        None,
        rounded(parse_iso(head.get("started_at")), 1) if snapshot.is_live else None,
        None if snapshot.is_live else rounded(session_duration_s(snapshot), 1),
        rounded(head.get("cost_usd"), 4),
        snapshot.count("n_denials"),
        total_tokens(head) or None,
        False,
        "",
    ]


def rounded(value: object, digits: int) -> float | None:
    """Returns a number with some digits; None if it is no number."""
    figure = number(value)
    return None if figure is None else round(figure, digits)


def diff_rows(old: Sequence[Row], fresh: Mapping[int, Row]) -> list[Change]:
    """Returns the changes from old rows to new ones.

    Args:
        old: All rows as they were sent.
        fresh: Some of them as they are now, by their index.

    Returns:
        For each row that differs: its index, then column, value, column, value …

    Example:
        >>> diff_rows([["a", 1, "x"], ["b", 2, "y"]], {1: ["b", 3, "y"]})
        [[1, 1, 3]]
    """
    changes = []
    for index, row in fresh.items():
        before = old[index]
        if before != row:
            change: Change = [index]
            for column, value in enumerate(row):
                if before[column] != value:
                    change += (column, value)
            changes.append(change)
    return changes


def apply_changes(rows: list[Row], changes: Iterable[Change]) -> None:
    """Applies changes to rows, as table.js does.

    Example:
        >>> rows = [["a", 1, "x"]]
        >>> apply_changes(rows, [[0, 1, 2]])
        >>> rows
        [['a', 2, 'x']]
    """
    for change in changes:
        for i in range(1, len(change), 2):
            rows[change[0]][change[i]] = change[i + 1]
