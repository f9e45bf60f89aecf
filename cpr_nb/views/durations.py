"""How long sessions and tasks took, or have taken so far."""

from __future__ import annotations

import time

from cpr_nb.model.json_values import number
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso, utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def task_duration_s(task: dict[str, Any]) -> float | None:
    """Returns the seconds from a task's start to its end or to now; None if it never started."""
    if task.get("attempts") == 0 or task.get("status") == "pending":
        return None  # whatever an earlier version, or claude-parallel-runner.pl, has written
    duration_s = number(task.get("duration_s", task.get("duration")))
    if duration_s is not None:
        return float(duration_s)
    start_s = parse_iso(task.get("started_at"))
    return max(0.0, time.time() - start_s) if start_s is not None else None


def session_duration_s(snapshot: Snapshot) -> float | None:
    """Returns the seconds from a session's start to its end, or to now; None if unknown."""
    head = snapshot.head
    duration_s = number(head.get("duration_s"))
    if duration_s is not None:
        return float(duration_s)
    start, end = number(head.get("start_time")), number(head.get("end_time"))
    if start is not None and end is not None:
        return float(max(0, end - start))
    start_s = parse_iso(head.get("started_at")) or start
    if start_s is None:
        return None
    if snapshot.is_live:
        return max(0.0, time.time() - start_s)
    return between_s(iso_or_none(start_s), head.get("updated_at"))


def between_s(start: object, end: object) -> float | None:
    """Returns the seconds between two ISO 8601 times; None if one of them is unknown."""
    start_s, end_s = parse_iso(start), parse_iso(end)
    if start_s is None or end_s is None:
        return None
    return round(max(0.0, end_s - start_s), 3)


def iso_or_none(epoch_s: object) -> str | None:
    """Returns seconds since the epoch as ISO 8601; None for what is no such number."""
    if isinstance(epoch_s, int | float) and not isinstance(epoch_s, bool):
        try:
            return utc_iso(epoch_s)
        except (OverflowError, ValueError, OSError):
            return None
    return None
