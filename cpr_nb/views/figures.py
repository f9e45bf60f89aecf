"""The figures of a session, the same in every interface: counts, tokens, cost, time, what is left.

The head of a session is the sum of its rows: what its ended tasks used, and what its running ones
have used so far. Figures that are estimated are marked, and become exact when the CLI reports them.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.store.times import parse_iso
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.durations import session_duration_s, task_duration_s
from cpr_nb.views.forecast import time_left_s, total_usd
from cpr_nb.views.formatting import COUNTED_STATES
from cpr_nb.views.questions import questions_of
from cpr_nb.views.task_figures import (
    EndedTasks,
    TaskFigures,
    ended_figures,
    running_figures,
    token_sum,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.forecast import Outlook, Range

    Forecaster = Callable[[Snapshot, "FiguresFollower"], Outlook | None]

_FORECAST_EVERY_S = 5.0
_UNDER_WAY = (states.RUNNING, states.RETRYING)
_FORECAST_STATES = (states.RUNNING, states.WAITING)


class Figures(NamedTuple):
    """The figures of a session at one moment; what is unknown is None.

    Attributes:
        n_ended: How many of its tasks have ended.
        n_total: How many it has.
        counts: How many are in each state as it is shown, in the order of the bar. Tasks that ask
            are not among the running ones.
        n_tokens: All tokens of all rows.
        cost_usd: What all rows have cost so far, as far as that is known.
        is_estimate: Whether a part of the cost is estimated.
        elapsed_s: How long it has taken so far.
        left_s: How long it will take from now on, at least and at most.
        total_usd: What it will have cost at its end: expected, at least, at most.
    """

    n_ended: int
    n_total: int
    counts: dict[str, int]
    n_tokens: int | None
    cost_usd: float | None
    is_estimate: bool
    elapsed_s: float | None
    left_s: Range | None = None
    total_usd: tuple[float, float, float] | None = None


class FiguresFollower:
    """Keeps the figures of a session up to date; a poll costs what has changed.

    Args:
        activity: Follows what its running tasks do: their streams are read once for both.
        forecaster: Forecasts once it can; before that, and without it, a range for few tasks holds.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> follower = FiguresFollower(ActivityFollower(SessionPaths("/no/such/session-1")))
        >>> follower.update(0, {"state": "ended", "outcome": "succeeded", "cost_usd": 0.5})
        >>> follower.task(0).cost_text
        '0.50'
    """

    def __init__(self, activity: ActivityFollower, forecaster: Forecaster | None = None) -> None:
        self._forecaster = forecaster
        self._activity = activity
        self._ended = EndedTasks()
        self._tasks: dict[int, dict[str, Any]] = {}
        self._under_way: set[int] = set()
        self._asking: set[int] = set()
        self._forecast: Outlook = (None, None)
        self._forecast_at_s = 0.0

    def update(self, index: int, task: dict[str, Any]) -> None:
        """Notes a task that is new or has changed.

        Args:
            index: Its number, from 0.
            task: Its fields in status.json.
        """
        self._tasks[index] = task
        self._ended.update(index, task)
        is_under_way = task_state(task)[0] in _UNDER_WAY
        (self._under_way.add if is_under_way else self._under_way.discard)(index)
        (self._asking.add if questions_of(task) else self._asking.discard)(index)

    @property
    def under_way(self) -> list[int]:
        """The indices of the tasks that run, or will be tried again."""
        return sorted(self._under_way)

    def task(self, index: int) -> TaskFigures:
        """What a task has used so far, as far as its stream has been read.

        Args:
            index: Its number, from 0.
        """
        task = self._tasks[index]
        if task_state(task)[0] == states.RUNNING and not task.get("note"):
            facts = self._activity.facts(task)
            if facts is not None:
                return running_figures(task, facts, self._ended)
        return ended_figures(task)

    def session(self, snapshot: Snapshot) -> Figures:
        """The figures of the session.

        Args:
            snapshot: The session, whose tasks were passed to `update`.
        """
        ended = self._ended
        running = [self.task(index) for index in self._under_way]
        costs_usd = [row.cost_usd for row in running if row.cost_usd is not None]
        counts = [row.n_tokens for row in running if row.n_tokens is not None]
        n_tokens = ended.n_tokens + sum(counts) or token_sum(snapshot.head)
        if ended.has_cost or costs_usd:
            cost_usd: float | None = ended.cost_usd + sum(costs_usd)
        else:  # its rows say nothing, or only the head could be read
            cost_usd = number(snapshot.head.get("cost_usd"))
        left_s, total = self._forecast_of(snapshot, running, cost_usd)
        return Figures(
            n_ended=snapshot.count("completed"),
            n_total=snapshot.count("total"),
            counts=_counts(snapshot, self._asking),
            n_tokens=n_tokens,
            cost_usd=cost_usd,
            is_estimate=any(row.is_estimate and row.cost_usd is not None for row in running),
            elapsed_s=session_duration_s(snapshot),
            left_s=left_s,
            total_usd=total,
        )

    def _forecast_of(
        self, snapshot: Snapshot, running: list[TaskFigures], cost_usd: float | None
    ) -> Outlook:
        if snapshot.state not in _FORECAST_STATES:
            return None, None
        now_s = time.monotonic()
        is_old = now_s - self._forecast_at_s >= _FORECAST_EVERY_S
        if is_old or (self._forecast[0] is None and self._ended.durations.n):
            self._forecast_at_s = now_s
            self._forecast = self._outlook(snapshot, running, cost_usd)
        return self._forecast

    def _outlook(
        self, snapshot: Snapshot, running: list[TaskFigures], cost_usd: float | None
    ) -> Outlook:
        n_pending = len(self._tasks) - self._ended.n - len(self._under_way) - _n_held(snapshot)
        made = self._forecaster(snapshot, self) if self._forecaster else None
        if made is None:
            used_usd = [row.cost_usd or 0.0 for row in running]
            total = total_usd(self._ended.costs, cost_usd or 0.0, used_usd, n_pending)
            made = self._time_left_s(snapshot, n_pending), total
        return _with_wait(made[0], snapshot), made[1]

    def _time_left_s(self, snapshot: Snapshot, n_pending: int) -> Range | None:
        running_s = self._running_s()
        n_slots = snapshot.count("parallel_now") or snapshot.count("max_parallel")
        n_slots = n_slots or len(running_s)
        return time_left_s(self._ended.durations, running_s, n_pending, n_slots)

    def _running_s(self) -> list[float]:
        durations_s = (task_duration_s(self._tasks[index]) for index in self._under_way)
        return [duration_s or 0.0 for duration_s in durations_s]


def _n_held(snapshot: Snapshot) -> int:
    """How many tasks wait for somebody to say that they may start: those outside a pilot."""
    pilot = snapshot.head.get("pilot")
    return (integer(pilot.get("n_held")) or 0) if isinstance(pilot, dict) else 0


def _with_wait(left_s: Range | None, snapshot: Snapshot) -> Range | None:
    """How long it will take, with the wait for a limit if it is known when that ends."""
    if left_s is None or snapshot.state != states.WAITING:
        return left_s
    until_s = parse_iso(snapshot.head.get("waiting_until"))
    if until_s is None:
        return None
    wait_s = max(0.0, until_s - time.time())
    return left_s[0] + wait_s, left_s[1] + wait_s


def _counts(snapshot: Snapshot, asking: set[int]) -> dict[str, int]:
    counts = {}
    n_asking = min(len(asking), snapshot.count("n_running")) if snapshot.is_live else 0
    for state in COUNTED_STATES:
        counts[state] = snapshot.count(f"n_{state}")
        if state == states.RUNNING:
            counts[state] -= n_asking
            counts[states.ASKING] = n_asking
    return counts


def session_figures(snapshot: Snapshot, forecaster: Forecaster | None = None) -> FiguresFollower:
    """The figures of a session that is read once; the streams of its running tasks are read, too.

    Args:
        snapshot: The session.
        forecaster: As for `FiguresFollower`.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> snapshot = read_session("/no/such/session-1")
        >>> session_figures(snapshot).session(snapshot).n_total
        0
    """
    activity = ActivityFollower(snapshot.paths)
    figures = FiguresFollower(activity, forecaster)
    for index, task in enumerate(snapshot.tasks or ()):
        figures.update(index, task)
    for index in figures.under_way:
        activity.describe((snapshot.tasks or [])[index])
    return figures
