"""How often one of k candidates solves a row (pass@k), and how often all k do (pass^k)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from cpr_nb.stats.estimates import CONFIDENCE, share_interval
from cpr_nb.stats.quantiles import has_scipy


class PassAtK(NamedTuple):
    """A figure for one k: a mean over the rows.

    Args:
        k: How many candidates.
        at_least: The smallest that it can be, given what is known of these rows.
        at_most: The largest; the same number if every row is known.
        low: The lower end of the interval for rows like these; NaN without SciPy.
        high: The upper end.
        n_rows: How many rows it is the mean of.
    """

    k: int
    at_least: float
    at_most: float
    low: float
    high: float
    n_rows: int

    @property
    def is_known(self) -> bool:
        """Whether it is a figure, and not only bounds."""
        return self.at_least == self.at_most

    @property
    def value(self) -> float:
        """The figure; NaN if there are only bounds."""
        return self.at_least if self.is_known else math.nan


def pass_at_k(
    solutions: Sequence[Sequence[bool | None]],
    *,
    in_order: bool,
    confidence: float = CONFIDENCE,
) -> list[PassAtK]:
    """How often one of k candidates solves a row, for each k.

    Where all candidates ran, it is the chance that k of them, drawn without looking, hold a good
    one. Where candidates were left out because a sibling was good enough, that would be wrong: the
    rows in which all ran are almost only those that nobody solved. Then it is about the first k
    in the order of their start. One good one among them solves the row, and if all of them have
    ended without one, they do not. All else is unknown, so there are only bounds.

    Args:
        solutions: For each row, whether each candidate solves it, in the order in which they
            start; None if it did not end, or its end says nothing.
        in_order: Whether candidates were left out because of a sibling.
        confidence: The share of intervals that hold the truth.

    Example:
        >>> rows = [[True, False], [False, False]]
        >>> [one.value for one in pass_at_k(rows, in_order=False)]
        [0.25, 0.5]
        >>> first, _ = pass_at_k([[None, True], [True, None]], in_order=True)
        >>> first.at_least, first.at_most
        (0.5, 1.0)
    """
    every_k = range(1, max(map(len, solutions), default=0) + 1)
    if in_order:
        return [_first_k(solutions, k, confidence) for k in every_k]
    counts = [(sum(v is True for v in row), sum(v is not None for v in row)) for row in solutions]
    return [_drawn_k(counts, k, confidence, all_of_them=False) for k in every_k]


def pass_all_k(
    solutions: Sequence[Sequence[bool | None]],
    *,
    in_order: bool,
    confidence: float = CONFIDENCE,
) -> list[PassAtK]:
    """How often all of k candidates solve a row, for each k.

    It is unknown where candidates were left out because a sibling was good enough.

    Args:
        solutions: As for `pass_at_k`.
        in_order: As for `pass_at_k`; then there is no figure.
        confidence: The share of intervals that hold the truth.

    Example:
        >>> [one.value for one in pass_all_k([[True, False], [True, True]], in_order=False)]
        [0.75, 0.5]
    """
    if in_order:
        return []
    counts = [(sum(v is True for v in row), sum(v is not None for v in row)) for row in solutions]
    every_k = range(1, max(map(len, solutions), default=0) + 1)
    return [_drawn_k(counts, k, confidence, all_of_them=True) for k in every_k]


def _drawn_k(
    counts: Sequence[tuple[int, int]], k: int, confidence: float, *, all_of_them: bool
) -> PassAtK:
    """The figure for k candidates that are drawn from those of each row."""
    enough = [(n_good, n) for n_good, n in counts if n >= k]
    if all_of_them:
        values = [math.comb(n_good, k) / math.comb(n, k) for n_good, n in enough]
    else:
        values = [1 - math.comb(n - n_good, k) / math.comb(n, k) for n_good, n in enough]
    repeats = [n if k == 1 else 1 for _, n in enough]  # one candidate: the share of success
    low, high = _interval(values, repeats, confidence, is_share=k == 1)
    mean = _mean(values)
    return PassAtK(k, mean, mean, low, high, len(values))


def _first_k(solutions: Sequence[Sequence[bool | None]], k: int, confidence: float) -> PassAtK:
    """The bounds for the first k candidates of each row."""
    firsts = [row[:k] for row in solutions]
    least = [float(True in first) for first in firsts]
    most = [float(True in first or None in first) for first in firsts]
    low, _ = _interval(least, [1] * len(least), confidence, is_share=True)
    _, high = _interval(most, [1] * len(most), confidence, is_share=True)
    return PassAtK(k, _mean(least), _mean(most), low, high, len(firsts))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _interval(
    values: Sequence[float], repeats: Sequence[int], confidence: float, *, is_share: bool
) -> tuple[float, float]:
    if not has_scipy():
        return math.nan, math.nan
    estimate = share_interval(values, repeats, confidence=confidence, is_share=is_share)
    return estimate.low, estimate.high
