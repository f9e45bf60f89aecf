"""Draws futures: what more rows will cost and how long they will take, from those that ended.

Half of the futures believe that the values are lognormal, half only that further rows are like the
ones seen (a Bayesian bootstrap). In each future the parameters are drawn once, for all rows share
what is not known of them. Rows that still run count as "more than so far": what ends first is the
short part. What they will have is drawn by the lognormal in the first half, and by a Weibull
distribution in the second. `docs/forecasts.md` says how often the ranges hold.

Needs NumPy and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cpr_nb.stats.slots import last_end_s, shares_of_tasks

Array = NDArray[np.float64]

#: How many futures are drawn, half by each model.
N_FUTURES = 4000
#: The range that is shown.
RANGE = 0.9
#: Fewer rows, a larger sd of the logarithms or a larger skewness: only the low end can be trusted.
FEWEST_ROWS, LARGEST_SD, LARGEST_SKEWNESS = 20, 1.2, 1.0

_ROUNDS = 12  # of filling in what the running rows will have
_CELLS_AT_ONCE = 2_000_000
_STEPS_OF_SLOTS = 60_000_000
_FEWEST_FUTURES = 400
_LEAST_SD = 1e-6
_SHAPES = np.geomspace(0.3, 8.0, 60)  # of a Weibull distribution
_LEAST, _LARGEST = 1e-6, 1e12
_LARGEST_LOG = 60.0  # e^60: no figure is larger, so nothing overflows


class Prediction(NamedTuple):
    """What a figure will be.

    Attributes:
        value: As likely less as more; NaN if too few rows have ended.
        low: The low end of the range.
        high: Its high end; NaN if only the low end can be trusted (see `wide`).
        wide: Why only the low end can be trusted; empty if both can.
    """

    value: float
    low: float
    high: float
    wide: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a prediction."""
        return not math.isnan(self.low)

    def plus(self, amount: float) -> Prediction:
        """The same with something that is known already, such as what is spent.

        Example:
            >>> Prediction(2.0, 1.0, 4.0).plus(10).low
            11.0
        """
        return self._replace(
            value=self.value + amount, low=self.low + amount, high=self.high + amount
        )


UNKNOWN = Prediction(math.nan, math.nan, math.nan)


class _Lognormal(NamedTuple):
    """One row per future: what the lognormal needs, and what each running row will have.

    The parameters are NaN where rows are only drawn again.
    """

    mean_log: Array
    sd_log: Array
    running: Array


def total(
    ended: Sequence[float],
    n_more: int,
    rng: np.random.Generator,
    *,
    running: Sequence[float] = (),
    n_futures: int = N_FUTURES,
) -> Array:
    """Draws what running and further rows will add together.

    Args:
        ended: The figures of the rows that ended, such as their costs; two or more.
        n_more: How many rows have not started.
        rng: Where the chance is from.
        running: What each row that runs has reached so far.
        n_futures: How many futures to draw.

    Returns:
        One total per future.

    Example:
        >>> futures = total([1.0, 2.0, 3.0], 10, np.random.default_rng(1))
        >>> bool(np.quantile(futures, 0.05) < 20 < np.quantile(futures, 0.95))
        True
    """
    values, reached = _arrays(ended, running)
    n_first = n_futures // 2
    first = _lognormal(values, reached, rng, n_first)
    second = _weibull(values, reached, rng, n_futures - n_first)
    left = [np.maximum(one.running - reached, 0).sum(axis=1) for one in (first, second)]
    return np.concatenate(
        [
            left[0] + _lognormal_sums(values, first, n_more, rng),
            left[1] + _resampled_sums(values, second, n_more, rng),
        ]
    )


def time_s(
    ended: Sequence[Sequence[float]],
    n_more: int,
    n_slots: int,
    rng: np.random.Generator,
    *,
    running: Sequence[tuple[float, int, int]] = (),
    n_futures: int = N_FUTURES,
) -> Array:
    """Draws how long all rows will take from now on, by scheduling each future on the slots.

    Args:
        ended: The durations of the tasks of each row that ended, in seconds; two rows or more.
        n_more: How many rows have not started.
        n_slots: How many tasks may run at once.
        rng: Where the chance is from.
        running: Of each row that has begun: the seconds that its tasks have run together, how
            many of them run, and how many wait.
        n_futures: How many futures to draw; fewer if there are very many rows.

    Returns:
        One duration per future, in seconds.

    Example:
        >>> futures = time_s([[60.0]] * 9 + [[61.0]], 10, 2, np.random.default_rng(1))
        >>> round(float(np.median(futures)) / 60)
        5
    """
    totals, reached = _arrays([sum(row) for row in ended], [row[0] for row in running])
    n_tasks = max((len(row) for row in ended), default=1)
    shares = shares_of_tasks(ended, n_tasks)
    n_left = max(n_more * n_tasks + sum(row[2] for row in running), 1)
    most = max(_STEPS_OF_SLOTS // (n_left * (n_slots + 8)), _FEWEST_FUTURES)
    n_futures = min(n_futures, most)
    ends = []
    for is_lognormal in (True, False):
        draw = _lognormal if is_lognormal else _weibull
        parameters = draw(totals, reached, rng, n_futures // 2)
        for part in _parts(n_futures // 2, n_left):
            chosen = _Lognormal(*(values[part] for values in parameters))
            rows = _rows(totals, chosen, n_more, rng, is_lognormal=is_lognormal)
            tasks = (rows[:, :, None] * shares[rng.integers(len(shares), size=rows.shape)]).reshape(
                len(rows), -1
            )
            ends.append(last_end_s(chosen.running - reached, running, tasks, n_slots))
    return np.concatenate(ends)


def count(
    n_seen: int, n_ended: int, n_more: int, rng: np.random.Generator, *, n_futures: int = N_FUTURES
) -> Prediction:
    """Predicts in how many further rows something happens that happened in some, like a failure.

    Args:
        n_seen: In how many rows it happened.
        n_ended: How many rows have ended.
        n_more: How many are to come.
        rng: Where the chance is from.
        n_futures: How many futures to draw.

    Example:
        >>> high = count(0, 12, 400, np.random.default_rng(1)).high
        >>> 0.20 < high / 400 < 0.24
        True
    """
    if not n_ended:
        return UNKNOWN
    tail = (1 - RANGE) / 2
    fewest = rng.beta(n_seen, n_ended - n_seen + 1, n_futures) if n_seen else np.zeros(n_futures)
    is_always = n_seen == n_ended
    most = np.ones(n_futures) if is_always else rng.beta(n_seen + 1, n_ended - n_seen, n_futures)
    low = np.quantile(rng.binomial(n_more, fewest), tail)
    high = np.quantile(rng.binomial(n_more, most), 1 - tail)
    return Prediction(n_more * n_seen / n_ended, float(low), float(high))


def predict(futures: Array, wide: str = "") -> Prediction:
    """The middle and the range of what was drawn.

    Args:
        futures: One value per future.
        wide: Why only the low end can be trusted (see `why_wide`).
    """
    tail = (1 - RANGE) / 2
    low, middle, high = (float(q) for q in np.quantile(futures, (tail, 0.5, 1 - tail)))
    return Prediction(middle, low, math.nan if wide else high, wide)


def why_wide(ended: Sequence[float], n_running: int = 0) -> str:
    """Why the high end of a range from these rows can't be trusted; empty if it can.

    Args:
        ended: The figures of the rows that ended.
        n_running: How many rows run.

    Example:
        >>> why_wide([1.0] * 12)
        'only 12 rows have ended; from 20 on there is a high end'
        >>> why_wide([1.0, 1.1] * 15)
        ''
    """
    n = len(ended)
    if n < FEWEST_ROWS:
        rows = "1 row has" if n == 1 else f"{n} rows have"
        return f"only {rows} ended; from {FEWEST_ROWS} on there is a high end"
    if n_running > n / 2:
        return f"{n_running} rows still run, and the long ones end last"
    positive = np.asarray([value for value in ended if value > 0], dtype=np.float64)
    logs = np.log(positive)
    if len(logs) < 3 or logs.std() < _LEAST_SD:
        return ""
    if logs.std(ddof=1) > LARGEST_SD:
        return "the rows differ by so much that a few decide the sum"
    skewness = float(np.mean(((logs - logs.mean()) / logs.std()) ** 3))
    return "a few rows are far above all others" if skewness > LARGEST_SKEWNESS else ""


def largest_share(values: Sequence[float]) -> tuple[int, float]:
    """How many of the largest rows, a tenth of all, have which share of the sum.

    Example:
        >>> largest_share([1.0] * 9 + [11.0])
        (1, 0.55)
    """
    n = max(1, len(values) // 10)
    whole = sum(values)
    return n, sum(sorted(values, reverse=True)[:n]) / whole if whole > 0 else math.nan


# -- the two models -------------------------------------------------------------------------


def _arrays(ended: Sequence[float], running: Sequence[float]) -> tuple[Array, Array]:
    """Both as arrays, within what can be added up: a folder may say anything."""
    values, reached = (
        np.clip(np.asarray(one, dtype=np.float64), 0.0, _LARGEST) for one in (ended, running)
    )
    return np.where(values < _LEAST, 0.0, values), reached


def _lognormal(values: Array, reached: Array, rng: np.random.Generator, n: int) -> _Lognormal:
    """Draws parameters given the rows that ended, and what the running ones will have.

    Without running rows these are the posterior draws under the usual flat prior. Else what the
    running ones will have is drawn given the parameters, and those anew, a few times.
    """
    logs = np.log(values[values > 0])
    if len(logs) < 2:  # all cost nothing: so will the others
        return _Lognormal(np.full(n, -np.inf), np.zeros(n), np.tile(reached, (n, 1)))
    floor = np.log(np.maximum(reached, np.exp(logs.min()) * 1e-3))
    k = len(logs) + len(floor)
    filled = np.tile(np.maximum(floor, logs.mean()), (n, 1))
    for _ in range(_ROUNDS if len(floor) else 1):
        mean = (logs.sum() + filled.sum(axis=1)) / k
        squares = ((logs - mean[:, None]) ** 2).sum(axis=1)
        squares += ((filled - mean[:, None]) ** 2).sum(axis=1)
        sd = np.maximum(np.sqrt(squares / rng.chisquare(k - 1, n)), _LEAST_SD)
        mu = mean + sd / math.sqrt(k) * rng.standard_normal(n)
        if len(floor):
            places = (floor - mu[:, None]) / sd[:, None]
            filled = mu[:, None] + sd[:, None] * _above(places, rng)
    return _Lognormal(mu, sd, np.exp(np.minimum(filled, _LARGEST_LOG)))


def _weibull(values: Array, reached: Array, rng: np.random.Generator, n: int) -> _Lognormal:
    """Draws only what the running rows will have: its tail is lighter than the lognormal's.

    The shape is drawn from a grid, the rate from its gamma distribution.
    """
    unknown = np.full(n, math.nan)
    values = values[values > 0]
    if not len(reached) or len(values) < 2:
        return _Lognormal(unknown, unknown, np.tile(reached, (n, 1)))
    unit = values.max()
    logs = np.log(np.maximum(np.concatenate([values, reached]) / unit, _LEAST_SD))
    d = len(values)
    powers = np.exp(_SHAPES[:, None] * logs)
    chances = (d - 1) * np.log(_SHAPES) + _SHAPES * logs[:d].sum() - d * np.log(powers.sum(axis=1))
    chances = np.exp(chances - chances.max())
    chosen = rng.choice(len(_SHAPES), n, p=chances / chances.sum())
    rate = rng.gamma(d, size=n) / powers.sum(axis=1)[chosen]
    longer = powers[chosen, d:] + rng.exponential(size=(n, len(reached))) / rate[:, None]
    return _Lognormal(unknown, unknown, unit * longer ** (1 / _SHAPES[chosen])[:, None])


def _lognormal_sums(
    values: Array, parameters: _Lognormal, n_more: int, rng: np.random.Generator
) -> Array:
    n = len(parameters.mean_log)
    sums = np.zeros(n)
    for part in _parts(n, n_more):
        chosen = _Lognormal(*(one[part] for one in parameters))
        sums[part] = _rows(values, chosen, n_more, rng, is_lognormal=True).sum(axis=1)
    return sums


def _resampled_sums(
    values: Array, parameters: _Lognormal, n_more: int, rng: np.random.Generator
) -> Array:
    """Sums of rows like the ones seen; their mean and spread are drawn once per future."""
    n = len(parameters.mean_log)
    seen = np.hstack([np.tile(values, (n, 1)), parameters.running])
    k = seen.shape[1]
    weights = rng.dirichlet(np.ones(k), n)
    mean = (weights * seen).sum(axis=1)
    variance = np.maximum((weights * seen**2).sum(axis=1) - mean**2, 0)
    middle = seen.mean(axis=1)
    wider = np.sqrt((k + 1) / rng.chisquare(k - 1, n))
    sums = n_more * (middle + (mean - middle) * wider)
    sums += np.sqrt(n_more * variance) * wider * rng.standard_normal(n)
    totals: Array = np.maximum(sums, n_more * seen.min(axis=1))
    return totals


def _rows(
    values: Array,
    parameters: _Lognormal,
    n_more: int,
    rng: np.random.Generator,
    *,
    is_lognormal: bool,
) -> Array:
    """Draws each further row: one row of the array per future."""
    n = len(parameters.mean_log)
    if is_lognormal:
        logs = parameters.mean_log[:, None] + parameters.sd_log[:, None] * rng.standard_normal(
            (n, n_more)
        )
        drawn = np.exp(np.minimum(logs, _LARGEST_LOG))
        n_zero = int((values <= 0).sum())
        if n_zero:  # a share of their own
            share = rng.beta(n_zero + 0.5, len(values) - n_zero + 0.5, n)
            drawn[rng.random((n, n_more)) < share[:, None]] = 0.0
        return drawn
    seen = np.hstack([np.tile(values, (n, 1)), parameters.running])
    k = seen.shape[1]
    weights = rng.dirichlet(np.ones(k), n)
    mean, middle = (weights * seen).sum(axis=1), seen.mean(axis=1)
    wider = np.sqrt((k + 1) / rng.chisquare(k - 1, n))
    target = np.maximum(middle + (mean - middle) * wider, seen.min(axis=1))
    factor = np.divide(target, mean, out=np.ones(n), where=mean > 0)
    edges = np.cumsum(weights, axis=1) + np.arange(n)[:, None]  # one search for all futures
    places = np.searchsorted(edges.ravel(), (rng.random((n, n_more)) + np.arange(n)[:, None]))
    places = np.minimum(places - np.arange(n)[:, None] * k, k - 1)
    resampled: Array = np.take_along_axis(seen, places, axis=1) * factor[:, None]
    return resampled


def _above(places: Array, rng: np.random.Generator) -> Array:
    """Draws from a normal distribution above a place, each its own (Robert 1995)."""
    drawn = np.empty_like(places)
    todo = np.ones(places.shape, dtype=bool)
    while todo.any():
        floor = places[todo]
        is_low = floor < 0.5
        rate = (floor + np.sqrt(floor**2 + 4)) / 2
        tail = floor + rng.exponential(size=floor.shape) / np.maximum(rate, 0.1)
        tried = np.where(is_low, rng.standard_normal(floor.shape), tail)
        kept = np.where(
            is_low,
            tried > floor,
            rng.random(floor.shape) <= np.exp(-((tail - rate) ** 2) / 2),
        )
        where = np.nonzero(todo)
        drawn[tuple(axis[kept] for axis in where)] = tried[kept]
        todo[tuple(axis[kept] for axis in where)] = False
    return drawn


def _parts(n: int, n_more: int) -> Iterator[slice]:
    """Parts of the futures that fit into the memory."""
    size = max(1, _CELLS_AT_ONCE // max(n_more, 1))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
