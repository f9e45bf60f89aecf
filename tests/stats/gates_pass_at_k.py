"""The gate of pass@k: candidates that end each other, one after the other, and all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register

from cpr_nb.stats import pass_at_k as module

#: Rows × candidates, and whether candidates were left out → for each k the least and the most.
Method = Callable[[Sequence[Sequence[Any]], bool], list[tuple[float, float]]]

N, N_ROWS, SHARE, ICC = 5, 200, 0.5, 0.4
STRENGTH = 1 / ICC - 1
#: With 400 runs; a mean of fewer runs is less certain.
BAR, BAR_RUNS = 0.005, 400


def truth() -> list[float]:
    """Pass@k of a beta distributed chance: 1 - E[(1 - p)^k]."""
    fails, left = SHARE * STRENGTH, []
    product = 1.0
    for k in range(N):
        product *= (fails + k) / (STRENGTH + k)
        left.append(1 - product)
    return left


def chosen(solutions: Sequence[Sequence[Any]], in_order: bool) -> list[tuple[float, float]]:
    figures = module.pass_at_k(solutions, in_order=in_order)
    return [(one.at_least, one.at_most) for one in figures]


def rows_whose_candidates_all_ran(
    solutions: Sequence[Sequence[Any]], in_order: bool
) -> list[tuple[float, float]]:
    whole = [row for row in solutions if None not in row]
    return chosen(whole, False)


def ended_candidates(
    solutions: Sequence[Sequence[Any]], in_order: bool
) -> list[tuple[float, float]]:
    ended = [one for row in solutions for one in row if one is not None]
    share = sum(ended) / len(ended)
    return [(1 - (1 - share) ** k, 1 - (1 - share) ** k) for k in range(1, N + 1)]


def draw(generator: np.random.Generator, kind: str) -> list[list[bool | None]]:
    """What is known of the candidates of each row."""
    chances = generator.beta(SHARE * STRENGTH, (1 - SHARE) * STRENGTH, (N_ROWS, 1))
    good = generator.random((N_ROWS, N)) < chances
    if kind == "all":
        known = np.ones((N_ROWS, N), bool)
    elif kind == "in turn":
        known = np.cumsum(good, axis=1) - good == 0
    else:  # at once: the first good one ends the others
        ends = generator.exponential(1.0, (N_ROWS, N))
        first = np.min(np.where(good, ends, np.inf), axis=1, keepdims=True)
        known = ends <= first
    return [
        [bool(value) if seen else None for value, seen in zip(*pair, strict=True)]
        for pair in zip(good, known, strict=True)
    ]


def play(generator: np.random.Generator, n_runs: int, method: Method) -> Iterator[Cell]:
    bar, true = BAR * max(1.0, BAR_RUNS / n_runs) ** 0.5, truth()
    means = {
        kind: np.mean([method(draw(generator, kind), kind != "all") for _ in range(n_runs)], axis=0)
        for kind in ("at once", "in turn", "all")
    }
    least, most = means["at once"][-1]
    yield Cell("at once, solved within 5, least", least, true[-1] - bar, true[-1] + bar)
    yield Cell("at once, solved within 5, most", most, true[-1] - bar, true[-1] + bar)
    for k in range(1, N):
        least, most = means["at once"][k - 1]
        yield Cell(f"at once, pass@{k}, least", least, most=true[k - 1] + bar)
        yield Cell(f"at once, pass@{k}, most", most, true[k - 1] - bar)
    for kind in ("in turn", "all"):
        for k in range(1, N + 1):  # a single one varies more than whether any is good
            least, most = means[kind][k - 1]
            where = f"{kind}, pass@{k}"
            yield Cell(f"{where}, least", least, true[k - 1] - 1.4 * bar, true[k - 1] + 1.4 * bar)
            yield Cell(f"{where}, most", most, true[k - 1] - 1.4 * bar, true[k - 1] + 1.4 * bar)


register(
    Gate(
        name="pass-at-k",
        what="mean pass@k over 200 rows of 5 candidates; with bounds, each of them",
        play=play,
        n_runs=400,
        method=chosen,
        wrong={
            "rows whose candidates all ran": rows_whose_candidates_all_ran,
            "ended candidates": ended_candidates,
        },
        sample_runs=40,
    )
)
