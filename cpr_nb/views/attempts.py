"""When each attempt of each task ran, how it ended and what it cost, from the journal."""

from __future__ import annotations

import heapq
import json
import time
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.durations import task_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


class Attempt(NamedTuple):
    """One attempt at a task.

    Args:
        began_s: When it began, in seconds since the epoch.
        ended_s: When it ended; now, if it is running.
        state: Its outcome; or running; or interrupted, if its runner ended first.
        cost_usd: What it cost by the CLI's own estimate; None if unknown.
    """

    began_s: float
    ended_s: float
    state: str
    cost_usd: float | None


class TaskTimes(NamedTuple):
    """One task and its attempts.

    Args:
        fields: The task's fields in status.json.
        state: Its outcome; before that its state, or interrupted if its runner is gone.
        attempts: Its attempts in order; none if it never began.
    """

    fields: dict[str, Any]
    state: str
    attempts: tuple[Attempt, ...]


class _Track:
    """The attempts of one task while the journal is read."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.began_s: float | None = None
        self.counted_usd = 0.0

    def start(self, start_s: float, last_s: float) -> None:
        self.end(min(start_s, last_s), states.INTERRUPTED, None)  # its runner ended first
        self.began_s = start_s

    def end(self, end_s: float, state: str, cost_usd: float | None) -> None:
        if self.began_s is not None:
            self.attempts.append(Attempt(self.began_s, max(self.began_s, end_s), state, cost_usd))
        self.counted_usd += cost_usd or 0.0
        self.began_s = None

    def feed(self, line: dict[str, Any], time_s: float, runner_end_s: float) -> None:
        """Handles one line of the journal about the task.

        Args:
            line: The line.
            time_s: When it was written.
            runner_end_s: The last sign of the runner before this one; 0.0 if there was none.
        """
        event, outcome = line.get("event"), str(line.get("outcome"))
        cost = number(line.get("cost_usd"))
        if event == "started" and integer(line.get("attempt")):
            self.start(time_s, runner_end_s or time_s)
        elif event == "attempt_ended":
            self.end(time_s, outcome, cost)
        elif event == "ended":  # its cost is that of all attempts
            self.end(time_s, outcome, None if cost is None else max(0.0, cost - self.counted_usd))


def task_times(snapshot: Snapshot, now_s: float | None = None) -> list[TaskTimes]:
    """Reads when a session's tasks ran.

    Args:
        snapshot: The session.
        now_s: The time now, in seconds since the epoch; by default the clock's.

    Returns:
        The tasks in order. The times of legacy tasks are unknown.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> task_times(Snapshot(SessionPaths("/none/session-1"), {}, [{"task_num": 1}], "running"))
        [TaskTimes(fields={'task_num': 1}, state='pending', attempts=())]
    """
    now_s = time.time() if now_s is None else now_s
    tracks, last_s = _read_journal(snapshot)
    times = []
    for fields in snapshot.tasks or ():
        track = tracks.get(str(fields.get("transaction_id", ""))) or _Track()
        if snapshot.is_live:
            track.end(now_s, states.RUNNING, None)
        else:
            track.end(max(last_s, track.began_s or 0.0), states.INTERRUPTED, None)
        times.append(_times_of(fields, tuple(track.attempts), now_s))
    return times


def _times_of(fields: dict[str, Any], attempts: tuple[Attempt, ...], now_s: float) -> TaskTimes:
    state, outcome = task_state(fields)
    attempts = attempts or _attempts_from_status(fields, outcome, now_s)
    if outcome is not None:
        return TaskTimes(fields, outcome, attempts)
    if attempts and attempts[-1].state == states.INTERRUPTED:
        state = states.INTERRUPTED
    return TaskTimes(fields, state, attempts)


def _read_journal(snapshot: Snapshot) -> tuple[dict[str, _Track], float]:
    """Returns the attempts by task id, and when the last line was written."""
    tracks: dict[str, _Track] = {}
    last_s = runner_end_s = 0.0
    for line in _journal_lines(snapshot):
        time_s, task_id = parse_iso(line.get("at")), line.get("task_id")
        if time_s is None:
            continue
        if line.get("event") == "runner_started":
            runner_end_s = last_s
        last_s = time_s
        if isinstance(task_id, str):
            tracks.setdefault(task_id, _Track()).feed(line, time_s, runner_end_s)
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
    """Returns what status.json knows, for a session whose journal was removed."""
    began_s = parse_iso(fields.get("started_at"))
    if began_s is None:
        return ()
    duration_s = task_duration_s(fields)
    ended_s = parse_iso(fields.get("ended_at")) or (began_s + duration_s if duration_s else now_s)
    cost = number(fields.get("cost_usd"))
    return (Attempt(began_s, max(began_s, ended_s), outcome or states.RUNNING, cost),)


def lanes(ran: Iterable[TaskTimes]) -> list[list[TaskTimes]]:
    """Puts tasks that did not run at the same time into one row.

    Args:
        ran: Tasks with at least one attempt.
    """
    free: list[tuple[float, int]] = []  # when each lane becomes free
    rows: list[list[TaskTimes]] = []
    for task in sorted(ran, key=lambda task: task.attempts[0].began_s):
        if free and free[0][0] <= task.attempts[0].began_s:
            _, lane = heapq.heappop(free)
        else:
            lane = len(rows)
            rows.append([])
        rows[lane].append(task)
        heapq.heappush(free, (task.attempts[-1].ended_s, lane))
    return rows
