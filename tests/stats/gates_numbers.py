"""Gates of scores and costs: most rows alike and a few far apart, and costs with a long tail."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register
from stats.gates_pairs import paired_t
from stats.gates_shares import coverage

from cpr_nb.stats.bounds import (
    HALF_TRUST_OF_SHARES,
    Bounds,
    halls_t,
    jackknife_ratio,
    row_spread,
    shrunk_wilson,
    square_and_add,
    trusted_correlation,
)
from cpr_nb.stats.pairs import difference_bounds
from cpr_nb.stats.quantiles import t_quantile

SIGMAS = (0.5, 1.0, 1.5)


def chosen_difference(a: Any, b: Any, repeats: int) -> Bounds:
    counts = np.full(a.shape, repeats)
    t = t_quantile(0.95, a.shape[-1] - 1)
    return difference_bounds(a, counts, b, counts, t, is_share=False)


def chosen_mean(costs: Any) -> Bounds:
    return halls_t(costs, t_quantile(0.95, costs.shape[-1] - 1))


def plain_t(costs: Any) -> Bounds:
    spread = row_spread(costs)
    half = t_quantile(0.95, spread.df) * np.sqrt(spread.variance)
    return Bounds(spread.mean, spread.mean - half, spread.mean + half)


def trusting_correlation(a: Any, b: Any, repeats: int) -> Bounds:
    """Trusts the correlation of even scores as much as that of shares."""
    t = t_quantile(0.95, a.shape[-1] - 1)
    levels = [shrunk_wilson(row_spread(means), t, None) for means in (a, b)]
    return square_and_add(*levels, trusted_correlation(a, b, HALF_TRUST_OF_SHARES))


def play_scores(
    generator: np.random.Generator, n_runs: int, method: Callable[[Any, Any, int], Bounds]
) -> Iterator[Cell]:
    """Scores of both levels are alike but for noise, and in a few rows they are far apart."""
    for n, repeats, unlike, between in itertools.product(
        (10, 20, 50), (1, 5), (0.05, 0.15), (0.0, 0.04)
    ):
        size = (n_runs, n)
        level = generator.normal(0.27, between, size)
        step = np.where(generator.random(size) < unlike, 0.56, 0.0)
        noise = 0.03 / np.sqrt(repeats)
        a, b = (np.clip(generator.normal(mean, noise), 0, 1) for mean in (level, level + step))
        words = f"{n} rows x {repeats}, sd {between} between rows, {unlike} far apart"
        yield Cell(words, coverage(method(a, b, repeats), 0.56 * unlike), least=89.5)


def play_costs(
    generator: np.random.Generator, n_runs: int, method: Callable[[Any], Bounds]
) -> Iterator[Cell]:
    for n, sigma in itertools.product((30, 50, 100), SIGMAS):
        costs = generator.lognormal(0, sigma, (n_runs, n))
        found = coverage(method(costs), float(np.exp(sigma**2 / 2)))
        # Those with a larger sigma are marked as uncertain.
        yield Cell(f"{n} rows, sigma {sigma}", found, least=90 if sigma <= 1 else 86)


def chosen_bill(a: Any, b: Any) -> Bounds:
    return jackknife_ratio(a, b, t_quantile(0.95, a.shape[-1] - 1))[0]


def mean_log_ratio(a: Any, b: Any) -> Bounds:
    """How many times as dear a typical row is: another question."""
    bounds = paired_t(np.log(a), np.log(b), 1)
    return Bounds(*map(np.exp, bounds))


def play_bills(
    generator: np.random.Generator, n_runs: int, method: Callable[[Any, Any], Bounds]
) -> Iterator[Cell]:
    """The other level costs twice as much; its repeats of a row differ as much, or more."""
    for n, sigma, noise in itertools.product((10, 30, 100, 200), SIGMAS, (0.3, 0.6)):
        size = (n_runs, n)
        row = generator.normal(0, sigma, size)
        a = np.exp(row + generator.normal(0, 0.3, size))
        b = 2 * np.exp(row + generator.normal(0, noise, size))
        truth = 2 * float(np.exp((noise**2 - 0.3**2) / 2))
        found = coverage(method(a, b), truth)
        yield Cell(f"{n} pairs, sigma {sigma}, noise {noise}", found, least=86)


register(
    Gate(
        "bills",
        "coverage of the ratio of the totals, %",
        play_bills,
        2000,
        chosen_bill,
        {"mean log-ratio": mean_log_ratio},
        sample_runs=1000,
    )
)
register(
    Gate(
        "scores",
        "coverage of a difference of scores, %",
        play_scores,
        2000,
        chosen_difference,
        {"paired t": paired_t, "correlation trusted as of shares": trusting_correlation},
        sample_runs=1000,
    )
)
register(
    Gate(
        "costs",
        "coverage of a mean cost, %",
        play_costs,
        2000,
        chosen_mean,
        {"plain t": plain_t},
        sample_runs=2000,
    )
)
