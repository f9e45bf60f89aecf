"""The forecast of a session: what all its rows will cost, how long they take, how many fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cpr_nb.model.row_progress import RowProgress, SessionProgress
from cpr_nb.stats import draws, slots
from cpr_nb.stats.draws import UNKNOWN, Prediction

#: From fewer rows nothing follows.
FEWEST_ENDED = 2
_LEAST_S = 1e-3
#: Less is a matter of rounding.
_SLOWER = 1.1


class Forecast(NamedTuple):
    """What a session will have used at its end, and what happens in the rows to come.

    Attributes:
        cost_usd: The cost of all rows, those that ended included.
        time_s: How long tasks will have run in all, on the slots that there are.
        n_tokens: The tokens of all rows.
        n_failed: How many of the rows to come will fail.
        n_denied: In how many of them something will be denied.
        n_unknown_costs: How many ended rows have no known cost.
        largest: How many of the ended rows cost most, and their share of the cost.
    """

    cost_usd: Prediction
    time_s: Prediction
    n_tokens: Prediction
    n_failed: Prediction
    n_denied: Prediction
    n_unknown_costs: int
    largest: tuple[int, float]


def forecast(
    progress: SessionProgress, session_id: str, n_futures: int = draws.N_FUTURES
) -> Forecast:
    """Predicts the rest of a session from its rows so far.

    Args:
        progress: The rows.
        session_id: Its id, from which the random numbers follow: the figure does not dance.
        n_futures: How many futures to draw.

    Example:
        >>> rows = [RowProgress(0.1 + n / 100, 100, [60.0]) for n in range(20)]
        >>> whole = SessionProgress(rows, 80, 1, 4, 3.9, 2000, 300.0)
        >>> cost = forecast(whole, "3f2a").cost_usd
        >>> 17 < cost.low < 19.5 < cost.high < 22.5
        True
    """
    rng = np.random.default_rng(list(session_id.encode()))
    ended = progress.ended
    costs = [row.cost_usd for row in ended if row.cost_usd is not None]
    n_to_come = progress.n_more + len(progress.running)
    return Forecast(
        cost_usd=_sum("cost_usd", progress, rng, n_futures),
        time_s=_time_s(progress, rng, n_futures).plus(progress.elapsed_s),
        n_tokens=_sum("n_tokens", progress, rng, n_futures),
        n_failed=draws.count(sum(row.is_failed for row in ended), len(ended), n_to_come, rng),
        n_denied=draws.count(sum(row.is_denied for row in ended), len(ended), n_to_come, rng),
        n_unknown_costs=len(ended) - len(costs),
        largest=draws.largest_share(costs) if costs else (0, 0.0),
    )


def _sum(
    field: str, progress: SessionProgress, rng: np.random.Generator, n_futures: int
) -> Prediction:
    """What all rows will have used: of cost or tokens."""
    used = progress.spent_usd if field == "cost_usd" else progress.n_tokens
    if not progress.running and not progress.n_more:
        return Prediction(used, used, used)
    ended = [(float(getattr(row, field)), row) for row in progress.ended if _has(row, field)]
    if len(ended) < FEWEST_ENDED:
        return UNKNOWN
    values = [value for value, _ in ended]
    # What a running row has used so far may be unknown; then its time stands for it.
    a_second = sum(values) / max(sum(sum(row.task_s) for _, row in ended), _LEAST_S)
    running, unknown = [], 0.0
    for row in progress.running:
        reached = float(getattr(row, field)) if _has(row, field) else a_second * sum(row.task_s)
        running.append(reached)
        unknown += 0.0 if _has(row, field) else reached
    futures = draws.total(values, progress.n_more, rng, running=running, n_futures=n_futures)
    return draws.predict(futures, draws.why_wide(values, len(running))).plus(used + unknown)


def _has(row: RowProgress, field: str) -> bool:
    return getattr(row, field) is not None


def _time_s(progress: SessionProgress, rng: np.random.Generator, n_futures: int) -> Prediction:
    ended = [row.task_s for row in progress.ended if sum(row.task_s) > 0]
    running = [(sum(row.task_s), row.n_running, row.n_waiting) for row in progress.running]
    if not running and not progress.n_more:
        return Prediction(0.0, 0.0, 0.0)
    if len(ended) < FEWEST_ENDED:
        return UNKNOWN
    futures = draws.time_s(
        *(ended, progress.n_more, progress.n_slots, rng), running=running, n_futures=n_futures
    )
    slower = slowdown(progress)
    if slower > _SLOWER:
        # It may go on as slowly, or not at all so; nobody knows, so each is a quarter of them.
        futures = futures * slower ** np.clip(2 * rng.random(len(futures)) - 0.5, 0, 1)
    return draws.predict(futures, draws.why_wide([sum(row) for row in ended], len(running)))


def slowdown(progress: SessionProgress) -> float:
    """How many times as long it has taken so far as the slots explain; 1 if they explain it.

    Tasks may have begun one after the other because the machine was busy with their starts.

    Args:
        progress: The rows so far.

    Example:
        >>> slowdown(SessionProgress([RowProgress(task_s=[2.0])] * 8, 9, 1, 4, 0.0, 0, 12.0))
        3.0
    """
    tasks_s = [task_s for row in progress.rows for task_s in row.task_s]
    needed_s = slots.least_s(tasks_s, progress.n_slots)
    return max(1.0, progress.elapsed_s / needed_s) if needed_s > _LEAST_S else 1.0


class ForecastPoint(NamedTuple):
    """What was known of a session when so many of its rows had ended.

    Attributes:
        n_ended: How many rows had ended.
        cost_usd: The cost of all rows.
        time_s: How long tasks run in all.
    """

    n_ended: int
    cost_usd: Prediction
    time_s: Prediction


class ShownForecast(NamedTuple):
    """A forecast as it is shown and kept.

    Attributes:
        session_id: The session.
        at: The moment, in UTC (ISO 8601).
        progress: The rows then.
        figures: What follows from them.
        points: What followed earlier, the earliest first; the last one is that of now.
        denied_rules: The rules that would allow what was denied.
    """

    session_id: str
    at: str
    progress: SessionProgress
    figures: Forecast
    points: Sequence[ForecastPoint]
    denied_rules: Sequence[str]

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come: then the figures are what it was."""
        return not (self.progress.n_more or self.progress.running)

    @property
    def wide(self) -> str:
        """Why only the low ends can be trusted; empty if both can."""
        return self.figures.cost_usd.wide or self.figures.time_s.wide
