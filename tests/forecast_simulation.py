"""Plays sessions, and prints how often their end and cost were within the range of the forecast.

Usage: python tests/forecast_simulation.py [--seeds 100]
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cpr_nb.views.forecast import time_left_s, total_usd
from cpr_nb.views.spread import Sample

MEAN_S = 60.0
USD_PER_S = 0.005
#: How long tasks take, by kind; the mean is about a minute.
KINDS: dict[str, Callable[[random.Random], float]] = {
    "± 10 %": lambda chance: MEAN_S * chance.lognormvariate(-0.005, 0.1),
    "± 50 %": lambda chance: MEAN_S * chance.lognormvariate(-0.11, 0.47),
    "± 100 %": lambda chance: MEAN_S * chance.lognormvariate(-0.35, 0.83),
    "exponential": lambda chance: chance.expovariate(1 / MEAN_S),
    "short or long": lambda chance: chance.choice((30, 30, 30, 150)) * chance.uniform(0.7, 1.3),
}
#: Tasks, and how many run at once.
SIZES = ((12, 6), (60, 8), (400, 8))
#: When the forecast is asked for: how many tasks have ended, as a share; 0 is the first end.
MOMENTS = (0.0, 0.1, 0.25, 0.5, 0.9)


class Moment(NamedTuple):
    """A session at the end of one of its tasks."""

    ended_s: list[float]
    running_s: list[float]
    n_pending: int
    left_s: float  # what the forecast can't know


def play(durations_s: list[float], n_parallel: int) -> Iterator[Moment]:
    """A session from the first end of a task on, one moment for each end but the last."""
    waiting = iter(durations_s)
    running = [(duration_s, 0.0) for duration_s, _ in zip(waiting, range(n_parallel), strict=False)]
    heapq.heapify(running)
    moments, ended_s, n_started = [], [], len(running)
    while running:
        now_s, began_s = heapq.heappop(running)
        ended_s.append(now_s - began_s)
        if n_started < len(durations_s):
            heapq.heappush(running, (now_s + durations_s[n_started], now_s))
            n_started += 1
        elapsed_s = [now_s - began for _, began in running]
        moments.append((now_s, list(ended_s), elapsed_s, len(durations_s) - n_started))
    for at_s, ended, elapsed, n_pending in moments[:-1]:
        yield Moment(ended, elapsed, n_pending, now_s - at_s)


def within(kind: str, size: tuple[int, int], share: float, seed: int) -> tuple[bool, bool, float]:
    """Whether the end and the cost of one session were in the range, and how wide that was."""
    chance, (n_tasks, n_parallel) = random.Random(seed), size
    durations_s = [KINDS[kind](chance) for _ in range(n_tasks)]
    moments = list(play(durations_s, n_parallel))
    moment = moments[min(int(share * n_tasks), len(moments) - 1)]
    durations, costs = Sample(), Sample()
    for duration_s in moment.ended_s:
        durations.add(duration_s)
        costs.add(duration_s * USD_PER_S)
    low_s, high_s = time_left_s(durations, moment.running_s, moment.n_pending, n_parallel) or (0, 0)
    used_usd = [elapsed_s * USD_PER_S for elapsed_s in moment.running_s]
    spent_usd = costs.total + sum(used_usd)
    _, low_usd, high_usd = total_usd(costs, spent_usd, used_usd, moment.n_pending) or (0, 0, 0)
    is_cost_within = low_usd <= sum(durations_s) * USD_PER_S <= high_usd
    return low_s <= moment.left_s <= high_s, is_cost_within, (high_s - low_s) / moment.left_s


def main(argv: list[str]) -> int:
    """Prints one line for each kind, size and moment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="sessions for each line")
    seeds = range(parser.parse_args(argv).seeds)
    sys.stdout.write("kind           tasks  at once  ended  end in range  cost in range  width\n")
    for kind in KINDS:
        for size in SIZES:
            for share in MOMENTS:
                plays = [within(kind, size, share, seed) for seed in seeds]
                end, cost = (statistics.fmean(one[i] for one in plays) for i in (0, 1))
                width = statistics.median(one[2] for one in plays)
                words = f"{share:.0%}" if share else "one"
                line = f"{kind:14} {size[0]:5}  {size[1]:7}  {words:>5}  {end:12.0%}  {cost:13.0%}"
                sys.stdout.write(f"{line}  {width:5.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
