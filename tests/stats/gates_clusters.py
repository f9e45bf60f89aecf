"""Gate of ``cluster=``: rows of one repository resemble each other, repositories differ in size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register
from stats.gates_shares import coverage, draw_chances, unshrunk_wilson

from cpr_nb.stats.bounds import Bounds, cluster_spread, shrunk_wilson
from cpr_nb.stats.quantiles import t_quantile

SIZES = ((20, 8, 4, 2, 2, 1, 1, 1, 1), (10, 8, 6, 5, 4, 3, 2, 2), (5,) * 8)
SHARES, ICC = (0.5, 0.8), 0.5

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
