"""When a session will end and what it will cost in total, each as a range, from its first end on.

The low end assumes that tasks are much alike, and that every slot is busy until the end. The high
end assumes that they differ a lot, and waits for the longest of the last ones. What is known of the
tasks outweighs both assumptions soon: then the ends come together. The range is meant to hold eight
of ten ends. ``tests/forecast_simulation.py`` plays sessions, and prints how many it holds.
"""

from __future__ import annotations

import math

from cpr_nb.views.spread import fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.views.spread import Sample, Spread

    Range = tuple[float, float]
    #: What is left, in seconds; what all will have cost: expected, at least, at most.
    Outlook = tuple[Range | None, tuple[float, float, float] | None]

# The standard deviations of logarithms that count as one task: much alike, and very different.
_ALIKE, _DIFFERENT = 0.2, 1.2
# The ends of a range that holds eight of ten ends, as shares and in standard deviations.
_FEWEST, _MOST = 0.1, 0.9
_DEVIATIONS = 1.28


def time_left_s(
    durations: Sample, running_s: Sequence[float], n_pending: int, n_parallel: int
) -> Range | None:
    """Returns how long a session will take from now on.

    Args:
        durations: The durations of the tasks that ended, in seconds.
        running_s: How long each running task has run.
        n_pending: How many tasks wait.
        n_parallel: How many may run at once.

    Returns:
        The low and the high end in seconds; None before a task has ended.
    """
    n_left = n_pending + len(running_s)
    if not durations.n or not n_left:
        return None
    alike, different = (fit(durations, running_s, sd) for sd in (_ALIKE, _DIFFERENT))
    if not n_pending:
        shortest_s = alike.most_left(running_s, _FEWEST)
        unsure_s = _unsure(alike, shortest_s)
        return max(shortest_s - unsure_s, 0.0), different.most_left(running_s, _MOST)
    n_slots = max(1, min(n_parallel, n_left))
    mean_s, sd_s = _sum_left(alike, n_pending)
    low_s = (mean_s - sd_s) / n_slots
    mean_s, sd_s = _sum_left(different, n_pending)
    # When the last task starts, those that run are at any point of theirs.
    last_start_s = max(mean_s / n_slots - _half(different), 0.0)
    longest_s = different.longest(n_slots, _MOST)
    return max(low_s, 0.0), max(last_start_s + math.hypot(sd_s / n_slots, longest_s), low_s)


def total_usd(
    costs: Sample, spent_usd: float, running_usd: Sequence[float], n_pending: int
) -> tuple[float, float, float] | None:
    """Returns what a session will have cost at its end.

    Args:
        costs: The costs of the tasks that ended.
        spent_usd: What all tasks have cost so far.
        running_usd: What each running task has cost so far.
        n_pending: How many tasks wait.

    Returns:
        What is expected, and the low and the high end; None before a task has ended.
    """
    if not costs.n or not n_pending + len(running_usd):
        return None
    alike, different = (fit(costs, running_usd, sd) for sd in (_ALIKE, _DIFFERENT))
    mean_usd, sd_usd = _sum_left(alike, n_pending)
    low_usd = max(mean_usd - sd_usd, 0.0)
    expected_usd = mean_usd
    mean_usd, sd_usd = _sum_left(different, n_pending)
    high_usd = max(mean_usd + sd_usd, expected_usd)
    return spent_usd + expected_usd, spent_usd + low_usd, spent_usd + high_usd


def _sum_left(spread: Spread, n_pending: int) -> Range:
    """What all tasks will still add: the mean, and how far off eight of ten are."""
    running_mean, running_variance = spread.running_left
    mean = running_mean + n_pending * spread.mean
    variance = running_variance + n_pending * spread.variance
    return mean, _DEVIATIONS * math.hypot(math.sqrt(variance), _unsure(spread, mean))


def _unsure(spread: Spread, value: float) -> float:
    """How far off a figure may be because the mean comes from so few tasks."""
    return value * spread.sd_log / math.sqrt(spread.n)


def _half(spread: Spread) -> float:
    """What a task has left on average, seen at any moment of its run."""
    return (spread.mean + spread.variance / spread.mean) / 2
