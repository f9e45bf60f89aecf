"""Rows for the browser, and what has changed between two looks at them."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.events import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.current_activity import Doing
from cpr_nb.views.rows import session_duration_s, task_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    Row = list[Any]
    Change = list[Any]

#: The columns of a row; table.js counts on this order. ``start`` and ``since`` are seconds since
#: the epoch: the browser counts on from them by itself, so a clock costs no message.
COLUMNS = ("key", "num", "word", "title", "now", "since", "start", "took", "cost", "denied")
_PROMPT = 160
_NOW = 200


def title_of(prompt: str) -> str:
    """The beginning of a prompt on one line."""
    return one_line(strip_controls(prompt[: 4 * _PROMPT]), _PROMPT)


def task_row(
    index: int, task: dict[str, Any], title: str, doing: Doing, limit_bytes: int | None = None
) -> Row:
    """A task as a row.

    Args:
        index: Its number, from 0.
        task: Its fields in status.json.
        title: What to call it: the beginning of its prompt.
        doing: What tells what it does.
        limit_bytes: How much of its stream to read at most.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> doing = Doing(SessionPaths("/no/such/session-1"))
        >>> task_row(0, {"transaction_id": "a", "state": "pending"}, "Do it", doing)
        ['a', 1, 'pending', 'Do it', '', None, None, None, None, 0]
    """
    state, outcome = task_state(task)
    is_running = state == states.RUNNING
    return [
        str(task.get("transaction_id", "")),
        index + 1,
        outcome or state,
        title,
        *doing_now(task, doing, limit_bytes),
        _rounded(parse_iso(task.get("started_at")), 1) if is_running else None,
        None if is_running else _rounded(task_duration_s(task), 1),
        _rounded(task.get("cost_usd"), 4),
        integer(task.get("n_denials")) or 0,
    ]


def doing_now(
    task: dict[str, Any], doing: Doing, limit_bytes: int | None
) -> tuple[str, float | None]:
    """The columns ``now`` and ``since`` of a task."""
    now, since_s = doing.line(task, limit_bytes)
    return now[:_NOW], _rounded(since_s, 1)


def session_row(snapshot: Snapshot, notice: str) -> Row:
    """A session as a row of a dashboard.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> session_row(Snapshot(SessionPaths("/r/session-3f2a"), {}, [], "stale"), "gone")[:5]
        ['3f2a', 0, 'stale', '3f2a', 'gone']
    """
    head, total = snapshot.head, snapshot.count("total")
    counts = [
        f"{snapshot.count(f'n_{word}')} {word}"
        for word in (states.SUCCEEDED, states.FAILED, states.RUNNING, states.PENDING)
        if snapshot.count(f"n_{word}")
    ]
    title = " ".join(str(part) for part in (snapshot.session_id[:8], head.get("name")) if part)
    return [
        snapshot.session_id,
        total,
        snapshot.state,
        one_line(title, _PROMPT),
        one_line(" · ".join(part for part in (*counts, notice) if part), _NOW),
        None,
        _rounded(parse_iso(head.get("started_at")), 1) if snapshot.is_live else None,
        None if snapshot.is_live else _rounded(session_duration_s(snapshot), 1),
        _rounded(head.get("cost_usd"), 4),
        snapshot.count("n_denials"),
    ]


def _rounded(value: object, digits: int) -> float | None:
    known = number(value)
    return None if known is None else round(known, digits)


def changes(old: Sequence[Row], fresh: Mapping[int, Row]) -> list[Change]:
    """What to tell of rows that may have changed.

    Args:
        old: The rows as they were told.
        fresh: Some of them as they are now, by their index.

    Returns:
        For each row that differs: its index, then column, value, column, value …

    Example:
        >>> changes([["a", 1, "x"], ["b", 2, "y"]], {1: ["b", 3, "y"]})
        [[1, 1, 3]]
    """
    told = []
    for index, row in fresh.items():
        was = old[index]
        if was != row:
            change: Change = [index]
            for column, value in enumerate(row):
                if was[column] != value:
                    change += (column, value)
            told.append(change)
    return told


def apply(rows: list[Row], told: Iterable[Change]) -> None:
    """Applies changes to rows, as table.js does.

    Example:
        >>> rows = [["a", 1, "x"]]
        >>> apply(rows, [[0, 1, 2]])
        >>> rows
        [['a', 2, 'x']]
    """
    for change in told:
        for at in range(1, len(change), 2):
            rows[change[0]][change[at]] = change[at + 1]
