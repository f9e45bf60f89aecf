"""Gates of ``cluster=``: rows of a repository resemble each other; repositories differ in size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register
from stats.gates_pairs import COPULA, EFFECTS, draw_pairs
from stats.gates_shares import coverage, draw_chances, unshrunk_wilson

from cpr_nb.stats.bounds import Bounds, cluster_spread, shrunk_wilson
from cpr_nb.stats.pairs import difference_bounds
from cpr_nb.stats.quantiles import t_quantile

SIZES = ((20, 8, 4, 2, 2, 1, 1, 1, 1), (10, 8, 6, 5, 4, 3, 2, 2), (5,) * 8)
SHARES, ICC = (0.5, 0.8), 0.5

#: The share of clusters, or of rows, on which levels that else agree do not.
UNLIKE = 0.2

#: Row means and the cluster of each row → the interval.
Method = Callable[[Any, Any], Bounds]


def chosen(means: Any, clusters: Any) -> Bounds:
    spread = cluster_spread(means, clusters)
    return shrunk_wilson(spread, t_quantile(0.95, spread.df), [1] * len(means))


def without_clusters(means: Any, clusters: Any) -> Bounds:
    return unshrunk_wilson(means, 1)


def naive_freedom(means: Any, clusters: Any) -> Bounds:
    """Residuals as they are, and as many degrees of freedom as clusters less one."""
    sizes = np.bincount(clusters)
    residuals = np.bincount(clusters, weights=means - means.mean())
    error = np.sqrt(np.sum(residuals**2)) / len(means)
    half = t_quantile(0.95, len(sizes) - 1) * error
    return Bounds(means.mean(), means.mean() - half, means.mean() + half)


def play_clusters(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    for sizes in SIZES:
        clusters = np.repeat(np.arange(len(sizes)), sizes)
        for share in SHARES:
            chances = draw_chances(generator, (n_runs, len(sizes)), share, ICC)
            rows = (generator.random((n_runs, len(clusters))) < chances[:, clusters]).astype(float)
            bounds = [method(means, clusters) for means in rows]
            low, high = (np.array([getattr(b, end) for b in bounds]) for end in ("low", "high"))
            found = coverage(Bounds(None, low, high), share)
            yield Cell(f"{len(sizes)} clusters of {sizes[0]} to {sizes[-1]}, p {share}", found, 92)


register(
    Gate(
        "clusters",
        "coverage of a share, %, where rows of one cluster resemble each other",
        play_clusters,
        2000,
        chosen,
        {"clusters ignored": without_clusters, "as many as clusters less one": naive_freedom},
        sample_runs=300,
    )
)


# --- pairs --------------------------------------------------------------------------------------


def chosen_pairs(a: Any, b: Any, clusters: Any) -> Bounds:
    once, t = [1] * len(a), t_quantile(0.95, cluster_spread(a, clusters).df)
    return difference_bounds(a, once, b, once, t, is_share=True, clusters=clusters)


def pairs_without_clusters(a: Any, b: Any, clusters: Any) -> Bounds:
    once, t = [1] * len(a), t_quantile(0.95, len(a) - 1)
    return difference_bounds(a, once, b, once, t, is_share=True)


def clustered_t(a: Any, b: Any, clusters: Any) -> Bounds:
    spread = cluster_spread(b - a, clusters)
    half = t_quantile(0.95, spread.df) * np.sqrt(spread.variance)
    return Bounds(spread.mean, spread.mean - half, spread.mean + half)


def play_pairs_of_clusters(
    generator: np.random.Generator, n_runs: int, method: Any
) -> Iterator[Cell]:
    for sizes in SIZES:
        clusters, size = np.repeat(np.arange(len(sizes)), sizes), (n_runs, len(sizes))
        cells: list[tuple[str, Any, Any, float]] = []
        for share, effect in product(SHARES, EFFECTS):
            chances = draw_pairs(generator, size, (share, share + effect), ICC, COPULA)
            a, b = (generator.binomial(1, chance[:, clusters]).astype(float) for chance in chances)
            cells.append((f"p {share}, effect {effect}", a, b, effect))
            a = (generator.random(size) < share).astype(float)[:, clusters]
            is_unlike = generator.random(size if effect else a.shape) < UNLIKE
            is_unlike = is_unlike[:, clusters] if effect else is_unlike
            unit = "clusters" if effect else "rows"
            b = np.where(is_unlike, 1.0, a)
            cells.append((f"p {share}, agree but for some {unit}", a, b, UNLIKE * (1 - share)))
        for words, a, b, truth in cells:
            bounds = [method(*pair, clusters) for pair in zip(a, b, strict=True)]
            low, high = (np.array([getattr(one, end) for one in bounds]) for end in ("low", "high"))
            found = coverage(Bounds(None, low, high), truth)
            yield Cell(f"{len(sizes)} clusters of {sizes[0]} to {sizes[-1]}, {words}", found, 92)


register(
    Gate(
        "clusterpairs",
        "coverage of a difference, %, where rows of one cluster resemble each other",
        play_pairs_of_clusters,
        1000,
        chosen_pairs,
        {"clusters ignored": pairs_without_clusters, "paired t of clusters": clustered_t},
        sample_runs=150,
    )
)
