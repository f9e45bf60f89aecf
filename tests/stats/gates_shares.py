"""Gates of shares of success: repeats of a row that resemble each other, and hopeless rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register

from cpr_nb.stats.bounds import Bounds, row_spread, shrunk_wilson
from cpr_nb.stats.quantiles import t_quantile

#: Row means (runs × rows) and the repeats a row → the interval of each run.
Method = Callable[[Any, int], Bounds]

ROWS, REPEATS, SHARES, ICCS = (10, 20, 50, 100), (1, 3, 10, 20), (0.5, 0.8, 0.95), (0.0, 0.5, 0.9)


def draw_chances(
    generator: np.random.Generator, size: tuple[int, ...], share: float, icc: float
) -> Any:
    """Each row's chance of success: beta distributed, so that two repeats correlate by icc."""
    if icc == 0:
        return np.full(size, share)
    strength = 1 / icc - 1
    return generator.beta(share * strength, (1 - share) * strength, size)


def chosen(means: Any, repeats: int) -> Bounds:
    spread = row_spread(means)
    counts = np.full(means.shape, repeats)
    return shrunk_wilson(spread, t_quantile(0.95, spread.df), counts)


def plain_t(means: Any, repeats: int) -> Bounds:
    spread = row_spread(means)
    half = t_quantile(0.95, spread.df) * np.sqrt(spread.variance)
    return Bounds(spread.mean, spread.mean - half, spread.mean + half)


def pooled_wilson(means: Any, repeats: int) -> Bounds:
    mean, n = means.mean(axis=-1), means.shape[-1] * repeats
    return _wilson(mean, n, 1.959964)


def unshrunk_wilson(means: Any, repeats: int) -> Bounds:
    spread = row_spread(means)
    n, product = spread.n_units, spread.mean * (1 - spread.mean)
    least = product / (n * repeats)
    variance = np.maximum(np.minimum(spread.variance, product / n), least)
    with np.errstate(all="ignore"):
        effective = np.where(product > 0, product / variance, n)
    return _wilson(spread.mean, effective, t_quantile(0.95, spread.df))


def _wilson(mean: Any, n: Any, quantile: Any) -> Bounds:
    z = quantile**2 / n
    half = np.sqrt(mean * (1 - mean) * z + z**2 / 4) / (1 + z)
    centre = (mean + z / 2) / (1 + z)
    return Bounds(mean, centre - half, centre + half)


def coverage(bounds: Bounds, truth: float) -> float:
    """How many of 100 intervals hold the truth."""
    slack = 1e-9  # the ends are sums of rounded numbers
    return 100 * float(np.mean((bounds.low - slack <= truth) & (truth <= bounds.high + slack)))


def play_shares(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    found = []
    for n, repeats, share, icc in itertools.product(ROWS, REPEATS, SHARES, ICCS):
        if repeats == 1 and icc:
            continue  # one attempt a row has no repeats to resemble
        chances = draw_chances(generator, (n_runs, n), share, icc)
        means = generator.binomial(repeats, chances) / repeats
        found.append(coverage(method(means, repeats), share))
        yield Cell(f"{n} rows x {repeats}, p {share}, icc {icc}", found[-1], least=91)
    yield Cell("mean of all cells", float(np.mean(found)), least=95.5, most=97.5)


def play_hopeless(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    is_hopeless = generator.random((n_runs, 20)) < 0.05
    means = generator.binomial(20, np.where(is_hopeless, 0.0, 0.95)) / 20
    yield Cell("20 rows x 20", coverage(method(means, 20), 0.95 * 0.95), least=91)


_WRONG = {"pooled repeats": pooled_wilson, "plain t": plain_t, "not shrunk": unshrunk_wilson}
register(Gate("shares", "coverage, %", play_shares, 2000, chosen, _WRONG, sample_runs=1000))
register(
    Gate(
        "hopeless",
        "coverage, %, where 5 % of the rows never succeed",
        play_hopeless,
        2000,
        chosen,
        _WRONG,
        sample_runs=2000,
    )
)
