"""Gates of forecasts: how often the range of what more rows cost, and how long, holds the truth."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register

from cpr_nb.stats import draws

N_FUTURES = 1000
ENDS = (0.05, 0.95)
#: Of the values of a pilot: draws the sum of so many more.
Sums = Callable[[Any, int, np.random.Generator], Any]


def bar(percent: float, n_runs: int, step: float = -3.5) -> float:
    """A bar so many standard errors from what the method has: few runs say little."""
    share = percent / 100
    return percent + step * 100 * float(np.sqrt(share * (1 - share) / n_runs))


def range_of(futures: Any) -> tuple[float, float]:
    low, high = np.quantile(futures, ENDS)
    return float(low), float(high)


# -- after a pilot --------------------------------------------------------------------------


def chosen(seen: Any, n_more: int, generator: np.random.Generator) -> Any:
    return draws.total(seen, n_more, generator, n_futures=N_FUTURES)


def plug_in(seen: Any, n_more: int, generator: np.random.Generator) -> Any:
    """Takes the parameters of the sample for those of all rows."""
    logs = np.log(seen)
    size = (N_FUTURES, n_more)
    return generator.lognormal(logs.mean(), logs.std(ddof=1), size).sum(axis=1)


def drawn_anew(seen: Any, n_more: int, generator: np.random.Generator) -> Any:
    """Draws for each row anew what all rows share."""
    logs, size = np.log(seen), (N_FUTURES, n_more)
    k = len(logs)
    wider = logs.std(ddof=1) * np.sqrt(1 + 1 / k)
    return np.exp(logs.mean() + wider * generator.standard_t(k - 1, size)).sum(axis=1)


def bootstrap(seen: Any, n_more: int, generator: np.random.Generator) -> Any:
    again = generator.choice(seen, (N_FUTURES, len(seen)))
    size = (N_FUTURES, n_more)
    places = generator.integers(len(seen), size=size)
    return np.take_along_axis(again, places, axis=1).sum(axis=1)


def play_pilot(generator: np.random.Generator, n_runs: int, method: Sums) -> Iterator[Cell]:
    yield from _play_sigmas(generator, n_runs, method, (0.5, 1.0), 88.5)


def play_tail(generator: np.random.Generator, n_runs: int, method: Sums) -> Iterator[Cell]:
    """Needs many runs to tell a bootstrap, which holds 74 of 100 times."""
    yield from _play_sigmas(generator, n_runs, method, (1.5,), 86.8)


def _play_sigmas(
    generator: np.random.Generator,
    n_runs: int,
    method: Sums,
    sigmas: Sequence[float],
    lowest: float,
) -> Iterator[Cell]:
    for sigma, n_more in itertools.product(sigmas, (100, 400)):
        n_held = 0
        for _ in range(n_runs):
            values = generator.lognormal(0, sigma, 30 + n_more)
            low, high = range_of(method(values[:30], n_more, generator))
            n_held += low <= values[30:].sum() <= high
        words = f"30 rows, {n_more} more, sigma {sigma}"
        least, most = bar(lowest, n_runs), bar(92, n_runs, 3.5)
        yield Cell(words, 100 * n_held / n_runs, least=least, most=most)


SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "lognormal 1.5": lambda generator, n: generator.lognormal(0, 1.5, n),
    "exponential": lambda generator, n: generator.exponential(1, n),
    "Pareto 1.5": lambda generator, n: 1 + generator.pareto(1.5, n),
    "Pareto 2.5": lambda generator, n: 1 + generator.pareto(2.5, n),
    "a fifth fail at a tenth": lambda generator, n: (
        generator.lognormal(0, 0.5, n) * np.where(generator.random(n) < 0.2, 0.1, 1)
    ),
    "two groups, one 5 times dearer": lambda generator, n: (
        generator.lognormal(0, 0.3, n) * np.where(generator.random(n) < 0.3, 5, 1)
    ),
}


def play_low_end(generator: np.random.Generator, n_runs: int, method: Sums) -> Iterator[Cell]:
    for name, draw in SHAPES.items():
        for k in (12, 30):
            n_held = 0
            for _ in range(n_runs):
                values = draw(generator, k + 200)
                low, _ = range_of(method(values[:k], 200, generator))
                n_held += low <= values[k:].sum()
            yield Cell(f"{name}, {k} rows, 200 more", 100 * n_held / n_runs, least=bar(94, n_runs))


# -- while rows run -------------------------------------------------------------------------

#: Durations that ended, those that run, how many more: draws what is left.
Left = Callable[[Any, Any, int, np.random.Generator], Any]


def play_rows(durations: Any, n_slots: int) -> tuple[Any, Any]:
    """When each row begins and ends."""
    slots, begins = [0.0] * n_slots, []
    for duration in durations:
        begin = heapq.heappop(slots)
        begins.append(begin)
        heapq.heappush(slots, begin + duration)
    begin_times = np.array(begins)
    return begin_times, begin_times + durations


def chosen_left(ended: Any, running: Any, n_more: int, generator: np.random.Generator) -> Any:
    return draws.total(ended, n_more, generator, running=running, n_futures=N_FUTURES)


def only_what_ended(ended: Any, running: Any, n_more: int, generator: np.random.Generator) -> Any:
    whole = draws.total(ended, n_more + len(running), generator, n_futures=N_FUTURES)
    return np.maximum(whole - running.sum(), 0)


def play_running(generator: np.random.Generator, n_runs: int, method: Left) -> Iterator[Cell]:
    for sigma, n_slots in itertools.product((0.5, 1.0), (8, 32)):
        n_held = 0
        for _ in range(n_runs):
            durations = generator.lognormal(0, sigma, 200)
            begins, ends = play_rows(durations, n_slots)
            now = np.sort(ends)[49]
            has_ended, runs = ends <= now, (begins <= now) & (ends > now)
            reached = now - begins[runs]
            n_more = int((begins > now).sum())
            low, high = range_of(method(durations[has_ended], reached, n_more, generator))
            n_held += low <= durations[~has_ended].sum() - reached.sum() <= high
        words = f"50 of 200 rows ended, {n_slots} at once, sigma {sigma}"
        yield Cell(words, 100 * n_held / n_runs, least=bar(84, n_runs))


# -- on the slots ---------------------------------------------------------------------------

#: Durations of a pilot: draws how long so many more take on so many slots.
Times = Callable[[Any, int, int, np.random.Generator], Any]


def chosen_times(seen: Any, n_more: int, n_slots: int, generator: np.random.Generator) -> Any:
    rows = [[value] for value in seen]
    return draws.time_s(rows, n_more, n_slots, generator, n_futures=600)


def total_by_slots(seen: Any, n_more: int, n_slots: int, generator: np.random.Generator) -> Any:
    return draws.total(seen, n_more, generator, n_futures=600) / n_slots


def play_slots(generator: np.random.Generator, n_runs: int, method: Times) -> Iterator[Cell]:
    for sigma, n_slots in itertools.product((0.5, 1.0), (4, 16, 64)):
        n_held = 0
        for _ in range(n_runs):
            durations = generator.lognormal(0, sigma, 130)
            _, ends = play_rows(durations[30:], n_slots)
            low, high = range_of(method(durations[:30], 100, n_slots, generator))
            n_held += low <= ends.max() <= high
        words = f"30 rows, 100 more, {n_slots} at once, sigma {sigma}"
        yield Cell(words, 100 * n_held / n_runs, least=bar(83.5, n_runs))


register(
    Gate(
        "forecast",
        "coverage of the 90 % range of what more rows cost after a pilot, %",
        play_pilot,
        2000,
        chosen,
        {"plug-in": plug_in, "drawn anew for each row": drawn_anew},
        sample_runs=150,
    )
)
register(
    Gate(
        "forecast-tail",
        "the same for rows that differ a lot, %",
        play_tail,
        1000,
        chosen,
        {"bootstrap": bootstrap},
    )
)
register(
    Gate(
        "at-least",
        "how often the low end of that range holds, %",
        play_low_end,
        1000,
        chosen,
        {"plug-in": plug_in},
        sample_runs=40,
    )
)
register(
    Gate(
        "running",
        "coverage of the 90 % range while rows run, %",
        play_running,
        1000,
        chosen_left,
        {"only what has ended": only_what_ended},
        sample_runs=40,
    )
)
register(
    Gate(
        "slots",
        "coverage of the 90 % range of the time on slots, %",
        play_slots,
        400,
        chosen_times,
        {"total by slots": total_by_slots},
        sample_runs=20,
    )
)
