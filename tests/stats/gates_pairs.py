"""Gates of differences of shares: levels that go together by row, and levels that nearly agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtr
from stats.gate import Cell, Gate, register
from stats.gates_shares import ICCS, REPEATS, ROWS, SHARES, coverage, pooled_wilson

from cpr_nb.stats.bounds import Bounds, row_spread, shrunk_wilson, square_and_add
from cpr_nb.stats.pairs import difference_bounds
from cpr_nb.stats.quantiles import t_quantile

#: Row means of the baseline and of the other level, and the repeats a row → each run's interval.
Method = Callable[[Any, Any, int], Bounds]

EFFECTS, COPULA, HIGH_COPULA = (0.0, -0.1), 0.8, 0.95
UNLIKE, BASES = (0.02, 0.05, 0.1, 0.2), (0.5, 0.8)


def chosen(a: Any, b: Any, repeats: int) -> Bounds:
    counts = np.full(a.shape, repeats)
    t = t_quantile(0.95, a.shape[-1] - 1)
    return difference_bounds(a, counts, b, counts, t, is_share=True)


def paired_t(a: Any, b: Any, repeats: int) -> Bounds:
    spread = row_spread(b - a)
    half = t_quantile(0.95, spread.df) * np.sqrt(spread.variance)
    return Bounds(spread.mean, spread.mean - half, spread.mean + half)


def pooled(a: Any, b: Any, repeats: int) -> Bounds:
    return square_and_add(pooled_wilson(a, repeats), pooled_wilson(b, repeats), 0.0)


def unshrunk_correlation(a: Any, b: Any, repeats: int) -> Bounds:
    counts, t = np.full(a.shape, repeats), t_quantile(0.95, a.shape[-1] - 1)
    rest = [means - means.mean(axis=-1, keepdims=True) for means in (a, b)]
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.prod([np.sum(part**2, axis=-1) for part in rest], axis=0))
        correlation = np.nan_to_num(np.sum(rest[0] * rest[1], axis=-1) / scale)
    levels = [shrunk_wilson(row_spread(means), t, counts) for means in (a, b)]
    return square_and_add(levels[0], levels[1], correlation)


def unpaired(a: Any, b: Any, repeats: int) -> Bounds:
    counts, t = np.full(a.shape, repeats), t_quantile(0.95, a.shape[-1] - 1)
    levels = [shrunk_wilson(row_spread(means), t, counts) for means in (a, b)]
    return square_and_add(levels[0], levels[1], 0.0)


def draw_pairs(
    generator: np.random.Generator,
    size: tuple[int, ...],
    shares: tuple[float, float],
    icc: float,
    copula: float,
) -> list[Any]:
    """Each row's chances under both levels: beta distributed, joined by a normal copula."""
    if icc == 0:
        return [np.full(size, share) for share in shares]
    first = generator.standard_normal(size)
    second = copula * first + np.sqrt(1 - copula**2) * generator.standard_normal(size)
    strength = 1 / icc - 1
    chances = []
    for normal, share in zip((first, second), shares, strict=True):
        rank = np.clip(ndtr(normal), 1e-12, 1 - 1e-12)
        chances.append(_beta_quantiles(rank, share * strength, (1 - share) * strength))
    return chances


def _beta_quantiles(rank: Any, a: float, b: float) -> Any:
    """Through a table: SciPy's inverse takes a microsecond for each number."""
    grid = ndtr(np.linspace(-7.5, 7.5, 4001))
    return np.interp(rank, grid, betaincinv(a, b, grid))


def play_pairs(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    at_many_rows = []
    for n, repeats, share, icc, effect in itertools.product(ROWS, REPEATS, SHARES, ICCS, EFFECTS):
        if repeats == 1 and icc:
            continue
        chances = draw_pairs(generator, (n_runs, n), (share, share + effect), icc, COPULA)
        a, b = (generator.binomial(repeats, chance) / repeats for chance in chances)
        found = coverage(method(a, b, repeats), effect)
        if n >= 50:
            at_many_rows.append(found)
        words = f"{n} rows x {repeats}, p {share}, icc {icc}, effect {effect}"
        yield Cell(words, found, least=92.5)
    yield Cell("mean at 50 and 100 rows", float(np.mean(at_many_rows)), least=95.5, most=98)


def play_sparse(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    """Every attempt of a row goes the same way, and both levels agree but for a few rows."""
    for n, repeats, unlike, base, is_both in itertools.product(
        ROWS, (1, 10), UNLIKE, BASES, (False, True)
    ):
        a = (generator.random((n_runs, n)) < base).astype(float)
        is_unlike = generator.random((n_runs, n)) < unlike
        if is_both:  # they turn round, whatever they were
            b, truth = np.where(is_unlike, 1 - a, a), unlike * (1 - 2 * base)
        else:  # the other level succeeds there
            b, truth = np.where(is_unlike, 1.0, a), unlike * (1 - base)
        found = coverage(method(a, b, repeats), truth)
        way = "both ways" if is_both else "one way"
        yield Cell(f"{n} rows x {repeats}, {unlike} unlike, p {base}, {way}", found, least=91)


def play_pairing(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    chances = draw_pairs(generator, (n_runs, 50), (0.8, 0.8), 0.9, HIGH_COPULA)
    a, b = (generator.binomial(3, chance) / 3 for chance in chances)
    widths = [
        float(np.mean(found.high - found.low)) for found in (method(a, b, 3), unpaired(a, b, 3))
    ]
    yield Cell("50 rows x 3, icc 0.9", widths[0] / widths[1], most=0.75)


register(
    Gate(
        "pairs",
        "coverage of a difference, %",
        play_pairs,
        2000,
        chosen,
        {"pooled repeats": pooled, "paired t": paired_t},
    )
)
register(
    Gate(
        "sparse",
        "coverage of a difference, %, where levels agree on most rows",
        play_sparse,
        2000,
        chosen,
        {"paired t": paired_t, "correlation not shrunk": unshrunk_correlation},
        sample_runs=1000,
    )
)
register(
    Gate(
        "pairing",
        "mean width / that without pairs",
        play_pairing,
        2000,
        chosen,
        {"unpaired": unpaired},
        sample_runs=500,
    )
)
