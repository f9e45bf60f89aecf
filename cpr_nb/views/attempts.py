"""When each attempt of each task ran, how it ended and what it cost: from the journal."""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.events import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.rows import task_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Attempt(NamedTuple):
    """One attempt at a task.

    Args:
        began_s: When it began, in seconds since the epoch.
        ended_s: When it ended; of one that runs, now.
        state: How it ended (an outcome), or running; interrupted if its runner was gone first.
        cost_usd: What it cost by the CLI's own estimate; None when not known.
    """

    began_s: float
    ended_s: float
    state: str
    cost_usd: float | None


class TaskTimes(NamedTuple):
    """One task and its attempts.

    Args:
        fields: What status.json says of it.
        state: Its outcome; before it has one its state, or interrupted if its runner is gone.
        attempts: Its attempts in order; none if it never began.
    """

    fields: dict[str, Any]
    state: str
    attempts: tuple[Attempt, ...]


class _Track:
    """One task while the journal is read."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.began_s: float | None = None
        self.known_usd = 0.0

    def start(self, at: float, last_s: float) -> None:
        self.end(min(at, last_s), states.INTERRUPTED, None)  # its runner was gone before its end
        self.began_s = at

    def end(self, at: float, state: str, cost_usd: float | None) -> None:
        if self.began_s is not None:
            self.attempts.append(Attempt(self.began_s, max(self.began_s, at), state, cost_usd))
        self.known_usd += cost_usd or 0.0
        self.began_s = None


def task_times(snapshot: Snapshot, now_s: float | None = None) -> list[TaskTimes]:
    """Reads when a session's tasks ran.

    Args:
        snapshot: The session.
        now_s: What is now, in seconds since the epoch.

    Returns:
        The tasks in order. The times of legacy tasks are not known.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> task_times(Snapshot(SessionPaths("/none/session-1"), {}, [{"task_num": 1}], "running"))
        [TaskTimes(fields={'task_num': 1}, state='pending', attempts=())]
    """
    now_s = time.time() if now_s is None else now_s
    tracks, last_s = _read_journal(snapshot)
    found = []
    for fields in snapshot.tasks or ():
        state, outcome = task_state(fields)
        track = tracks.get(str(fields.get("transaction_id", ""))) or _Track()
        if snapshot.is_live:
            track.end(now_s, states.RUNNING, None)
        else:
            track.end(max(last_s, track.began_s or 0.0), states.INTERRUPTED, None)
        attempts = tuple(track.attempts) or _attempts_from_status(fields, outcome, now_s)
        if outcome is None and attempts and attempts[-1].state == states.INTERRUPTED:
            state = states.INTERRUPTED
        found.append(TaskTimes(fields, outcome or state, attempts))
    return found


def _read_journal(snapshot: Snapshot) -> tuple[dict[str, _Track], float]:
    """What the journal says: task id → its attempts, and when the last line was written."""
    tracks: dict[str, _Track] = {}
    last_s = runner_end_s = 0.0
    for line in _journal_lines(snapshot):
        at, event, task_id = parse_iso(line.get("at")), line.get("event"), line.get("task_id")
        if at is None:
            continue
        if event == "runner_started":
            runner_end_s = last_s
        last_s = at
        if not isinstance(task_id, str):
            continue
        track = tracks.setdefault(task_id, _Track())
        outcome, cost = str(line.get("outcome")), number(line.get("cost_usd"))
        if event == "started" and integer(line.get("attempt")):
            track.start(at, runner_end_s or at)
        elif event == "attempt_ended":
            track.end(at, outcome, cost)
        elif event == "ended":  # its cost is that of all attempts
            track.end(at, outcome, None if cost is None else max(0.0, cost - track.known_usd))
    return tracks, last_s


def _journal_lines(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    try:
        with open_regular(snapshot.paths.journal) as file:
            for data in file:
                try:
                    line = json.loads(data)
                except (ValueError, RecursionError):  # the last line may be torn
                    continue
                if isinstance(line, dict):
                    yield line
    except OSError:
        return


def _attempts_from_status(
    fields: dict[str, Any], outcome: str | None, now_s: float
) -> tuple[Attempt, ...]:
    """What status.json says where somebody has removed the journal."""
    began_s = parse_iso(fields.get("started_at"))
    if began_s is None:
        return ()
    took_s = task_duration_s(fields)
    ended_s = parse_iso(fields.get("ended_at")) or (began_s + took_s if took_s else now_s)
    cost = number(fields.get("cost_usd"))
    return (Attempt(began_s, max(began_s, ended_s), outcome or states.RUNNING, cost),)
