"""Schedules drawn durations on the slots of a session: when the last task ends."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def shares_of_tasks(ended: Sequence[Sequence[float]], n_tasks: int) -> Array:
    """How each ended row's time is spread over its tasks; a row of the result for each.

    Args:
        ended: The durations of the tasks of each row, in seconds.
        n_tasks: How many tasks a row has.

    Example:
        >>> shares_of_tasks([[30.0, 10.0]], 2).tolist()
        [[0.75, 0.25]]
    """
    shares = []
    for row in ended:
        whole = sum(row)
        if len(row) == n_tasks and whole > 0:
            shares.append([value / whole for value in row])
    return np.asarray(shares or [[1 / n_tasks] * n_tasks], dtype=np.float64)


def last_end_s(
    left: Array, running: Sequence[tuple[float, int, int]], tasks: Array, n_slots: int
) -> Array:
    """When the last task ends, in each future: the next one takes the slot that is free first.

    Args:
        left: What each row that has begun still needs in each future, in seconds.
        running: Of each row that has begun: the seconds so far, and how many of its tasks run and
            how many wait.
        tasks: The durations of the further tasks: a row for each future.
        n_slots: How many tasks may run at once.

    Example:
        >>> last_end_s(np.zeros((1, 0)), [], np.array([[3.0, 1.0, 1.0, 1.0]]), 2).tolist()
        [3.0]
    """
    n, n_slots = len(left), max(n_slots, 1)
    now: list[Array] = []
    waiting: list[Array] = []
    for place, (_, n_running, n_waiting) in enumerate(running):
        each = np.maximum(left[:, place], 0) / max(n_running + n_waiting, 1)
        now += [each] * n_running
        waiting += [each] * n_waiting
    busy = np.stack(now, axis=1) if now else np.zeros((n, 0))
    last = busy.max(axis=1) if now else np.zeros(n)
    # More may run than there are slots now: of those, the first that end are not replaced.
    free = np.sort(busy, axis=1)[:, -n_slots:]
    free = np.hstack([free, np.zeros((n, n_slots - free.shape[1]))])
    each_future = np.arange(n)
    for durations in (*waiting, *tasks.T):
        slots = free.argmin(axis=1)
        free[each_future, slots] += durations
    ends: Array = np.maximum(free.max(axis=1), last)
    return ends


def least_s(durations: Iterable[float], n_slots: int) -> float:
    """How long tasks take, one after the other on the slot that is free first.

    Args:
        durations: Of each task, in seconds, in the order in which they begin.
        n_slots: How many may run at once.

    Example:
        >>> least_s([3.0, 1.0, 1.0, 1.0], 2)
        3.0
    """
    free = [0.0] * max(n_slots, 1)
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)
