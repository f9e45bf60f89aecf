"""Two levels on the same rows: differences and ratios with intervals and p-values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cpr_nb.model.errors import InputError
from cpr_nb.stats.bounds import (
    HALF_TRUST_OF_SCORES,
    HALF_TRUST_OF_SHARES,
    Bounds,
    Spread,
    cluster_spread,
    cluster_sums,
    jackknife_ratio,
    row_spread,
    shrunk_wilson,
    square_and_add,
    trusted_correlation,
)
from cpr_nb.stats.estimates import (
    CONFIDENCE,
    Estimate,
    few_clusters,
    few_rows,
    share_interval,
)
from cpr_nb.stats.quantiles import t_p_value, t_quantile, t_quantile_below

Array = npt.NDArray[np.float64]

#: The chance with which the smallest detectable difference would have been shown.
POWER = 0.8
#: Near the ends of the range, and with fewer pairs, that chance is smaller than the formula says.
_MIDDLE, _ENOUGH_NEAR_ENDS = (0.15, 0.85), 200
#: Shares of fewer pairs were not tried.
_FEWEST_PAIRS = 10
_BISECTIONS = 40


class Difference(NamedTuple):
    """How another level differs from the baseline on the rows that both have.

    Args:
        value: The other level minus the baseline; for `bill_ratio` and `typical_ratio`, divided by
            it.
        low: The lower end of the interval; NaN if there is none.
        high: The upper end.
        p_value: How often such a difference, or a larger one, comes by chance alone.
        n_pairs: The number of rows that both levels have.
        detectable: The smallest difference (or ratio above 1) that these rows show in 80 of 100
            cases.
        detectable_at_least: Whether ``detectable`` is too small, so that one says "at least".
        uncertain: Why the interval may be too narrow; empty if nothing says so.
    """

    value: float
    low: float
    high: float
    p_value: float
    n_pairs: int
    detectable: float
    detectable_at_least: bool
    uncertain: str


def share_difference(
    a_means: Any,
    a_repeats: Any,
    b_means: Any,
    b_repeats: Any,
    *,
    confidence: float = CONFIDENCE,
    is_share: bool = True,
    clusters: Any = None,
) -> Difference:
    """The difference of shares or bounded scores of two levels: Newcombe's, for pairs.

    It is made of the intervals of `share_interval`, so that it agrees with them.

    Args:
        a_means: Under the baseline, the mean of each row's repeats, from 0 to 1.
        a_repeats: How many repeats each of them has.
        b_means: The same rows under the other level.
        b_repeats: How many repeats each of them has.
        confidence: The share of such intervals that hold the truth.
        is_share: Whether each repeat is 0 or 1.
        clusters: The cluster of each pair, such as its repository, if pairs of one resemble each
            other.

    Raises:
        InputError: If the rows are not the same number, or a mean lies outside 0 to 1.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = share_difference([0, 1, 0, 1] * 5, [1] * 20, [1, 1, 0, 1] * 5, [1] * 20)
        >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
        (0.25, 0.02, 0.44)
    """
    a, b = _paired(a_means, b_means)
    for means, repeats in ((a, a_repeats), (b, b_repeats)):
        share_interval(means, repeats, is_share=is_share)  # checks them
    units = _spread(b - a, clusters)
    if units is None:
        value = float((b - a).mean()) if len(a) else math.nan
        return _single(value, len(a), "one cluster" if len(a) > 1 else "")

    def bounds(confidence: float) -> Bounds:
        t = t_quantile(confidence, units.df)
        return difference_bounds(
            a, a_repeats, b, b_repeats, t, is_share=is_share, clusters=clusters
        )

    found = bounds(confidence)
    low, high = float(found.low), float(found.high)
    p_value = _smallest_alpha(lambda alpha: _leaves_out_zero(bounds(1 - alpha)))
    detectable = _power_factor(confidence, units.df) * (high - low) / 2
    near_ends = not all(_MIDDLE[0] <= means.mean() <= _MIDDLE[1] for means in (a, b))
    at_least = near_ends and units.n_units < _ENOUGH_NEAR_ENDS
    few = "" if clusters is None else few_clusters(units)
    uncertain = few or f"under {_FEWEST_PAIRS} pairs" if len(a) < _FEWEST_PAIRS else ""
    return Difference(
        float(found.value), low, high, p_value, len(a), detectable, at_least, uncertain
    )


def difference_bounds(
    a_means: Any,
    a_repeats: Any,
    b_means: Any,
    b_repeats: Any,
    t: Any,
    *,
    is_share: bool,
    clusters: Any = None,
) -> Bounds:
    """The interval of `share_difference`; without clusters, for many tables at once.

    Rows are the last axis.

    Args:
        a_means: Under the baseline, from 0 to 1.
        a_repeats: How many repeats each of them has.
        b_means: Under the other level.
        b_repeats: How many repeats each of them has.
        t: The quantile.
        is_share: Whether each repeat is 0 or 1.
        clusters: The cluster of each pair.

    Example:
        >>> rows, once = [0, 1] * 10, [1] * 20
        >>> bounds = difference_bounds(rows, once, rows, once, 2.093, is_share=True)
        >>> float(bounds.low) < float(bounds.value) < float(bounds.high)
        True
    """
    a_spread, b_spread = (
        row_spread(means) if clusters is None else cluster_spread(means, clusters)
        for means in (a_means, b_means)
    )
    a = shrunk_wilson(a_spread, t, a_repeats if is_share else None)
    b = shrunk_wilson(b_spread, t, b_repeats if is_share else None)
    half_trust = HALF_TRUST_OF_SHARES if is_share else HALF_TRUST_OF_SCORES
    return square_and_add(a, b, trusted_correlation(a_means, b_means, half_trust, clusters))


def mean_difference(
    a: Any, b: Any, *, confidence: float = CONFIDENCE, clusters: Any = None
) -> Difference:
    """The mean difference of numbers whose range nobody knows: Student's t on the pairs.

    Args:
        a: One number a row, under the baseline.
        b: The same rows under the other level.
        confidence: The share of such intervals that hold the truth.
        clusters: The cluster of each pair, such as its repository, if pairs of one resemble each
            other.

    Raises:
        InputError: If the rows are not the same number.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = mean_difference([1.0, 2.0, 3.0], [2.0, 2.5, 4.5])
        >>> round(found.value, 2), round(found.low, 2), round(found.high, 2), found.uncertain
        (1.0, -0.24, 2.24, 'under 30 pairs')
    """
    baseline, other = _paired(a, b)
    return _by_t(other - baseline, confidence, clusters)


def bill_ratio(
    a: Any, b: Any, *, confidence: float = CONFIDENCE, clusters: Any = None
) -> Difference:
    """How many times the baseline's bill the other level's is: the ratio of the totals.

    The interval is that of a jackknife of its logarithm, which leaves out each row once, or each
    cluster.

    Args:
        a: The cost of each row under the baseline.
        b: The same rows under the other level.
        confidence: The share of such intervals that hold the truth.
        clusters: The cluster of each pair, such as its repository, if pairs of one resemble each
            other.

    Raises:
        InputError: If the rows are not the same number.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = bill_ratio([0.1, 0.2, 0.15, 0.4], [0.25, 0.5, 0.2, 1.1])
        >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
        (2.41, 1.55, 3.74)
    """
    baseline, other = _paired(a, b)
    n = len(baseline)
    totals = baseline.sum(), other.sum()
    if n < 2 or min(totals) <= 0:
        words = "the baseline cost nothing" if n and totals[0] <= 0 else ""
        value = float(totals[1] / totals[0]) if n and totals[0] > 0 else math.nan
        return _single(value, n, words or "one of the levels cost nothing" if n > 1 else "")
    units = _spread(other - baseline, clusters)
    if units is None:
        return _single(float(totals[1] / totals[0]), n, "one cluster")
    if clusters is not None:  # then each is left out as a whole
        baseline, other = cluster_sums(baseline, clusters), cluster_sums(other, clusters)
    bounds, error = jackknife_ratio(baseline, other, t_quantile(confidence, units.df))
    whole = "row" if clusters is None else "cluster"
    if not math.isfinite(error):
        return _single(float(bounds.value), n, f"one {whole} makes up a whole bill")
    doubt = _doubt(units, clusters)
    return _ratio(bounds, float(error), n, units.df, confidence)._replace(uncertain=doubt)


def typical_ratio(
    a: Any, b: Any, *, confidence: float = CONFIDENCE, clusters: Any = None
) -> Difference:
    """How many times as dear the other level is on a typical row: Student's t on the log-ratios.

    It is not the ratio of the bills, which the dear rows decide.

    Args:
        a: The cost of each row under the baseline.
        b: The same rows under the other level.
        confidence: The share of such intervals that hold the truth.
        clusters: The cluster of each pair, such as its repository, if pairs of one resemble each
            other.

    Raises:
        InputError: If the rows are not the same number.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = typical_ratio([0.1, 0.2, 0.15, 0.4], [0.25, 0.5, 0.2, 1.1])
        >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
        (2.19, 1.29, 3.72)
    """
    baseline, other = _paired(a, b)
    if np.any(baseline <= 0) or np.any(other <= 0):
        return _single(math.nan, len(baseline), "a row that cost nothing has no ratio")
    return _log_ratio(np.log(other / baseline), confidence, clusters)


def superiority(a: Any, b: Any, *, confidence: float = CONFIDENCE) -> Estimate:
    """On what share of rows the other level is better; equal rows count half.

    Args:
        a: One number a row, under the baseline.
        b: The same rows under the other level.
        confidence: The share of such intervals that hold the truth.

    Raises:
        InputError: If the rows are not the same number.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> superiority([1, 2, 3, 4], [2, 3, 3, 3]).value
        0.625
    """
    baseline, other = _paired(a, b)
    values = (1 + np.sign(other - baseline)) / 2
    return share_interval(values, [1] * len(values), confidence=confidence, is_share=False)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, such that one error in all of them is as seldom.

    Args:
        p_values: One per comparison; NaN where there is none, and it stays so.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    known = sorted((p, number) for number, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, number) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[number] = largest
    return adjusted


def _paired(a: Any, b: Any) -> tuple[Array, Array]:
    baseline, other = np.asarray(a, float), np.asarray(b, float)
    if baseline.ndim != 1 or baseline.shape != other.shape:
        raise InputError("both levels must have one number for each of the same rows", "pairs")
    if np.isnan(baseline).any() or np.isnan(other).any():
        raise InputError("no number may be missing: leave out the row", "pairs")
    return baseline, other


def _single(value: float, n: int, uncertain: str = "") -> Difference:
    """A value without an interval."""
    words = uncertain or ("one pair" if n == 1 else "no pairs" if not n else "")
    return Difference(value, math.nan, math.nan, math.nan, n, math.nan, False, words)


def _spread(values: Array, clusters: Any) -> Spread | None:
    """The spread of the pairs; None if there is only one, or only one cluster."""
    if len(values) < 2 or (clusters is not None and len(set(clusters)) < 2):
        return None
    with np.errstate(all="ignore"):  # such as infinite scores
        return row_spread(values) if clusters is None else cluster_spread(values, clusters)


def _doubt(units: Spread, clusters: Any) -> str:
    """Why an interval that needs many pairs may be too narrow."""
    if clusters is None:
        return few_rows(units.n_units, "pairs")
    return few_clusters(units) or few_rows(units.n_units, "clusters")


def _by_t(values: Array, confidence: float, clusters: Any) -> Difference:
    n, spread = len(values), _spread(values, clusters)
    if spread is None:
        value = float(values.mean()) if n else math.nan
        return _single(value, n, "one cluster" if n > 1 else "")
    error, df = math.sqrt(spread.variance), spread.df
    value, half = float(spread.mean), float(t_quantile(confidence, df)) * error
    p_value = t_p_value(value / error, df) if error > 0 else float(value == 0)
    detectable, words = _power_factor(confidence, df) * half, _doubt(spread, clusters)
    return Difference(value, value - half, value + half, p_value, n, detectable, False, words)


def _log_ratio(logs: Array, confidence: float, clusters: Any) -> Difference:
    found = _by_t(logs, confidence, clusters)
    return found._replace(
        value=math.exp(found.value),
        low=math.exp(found.low),
        high=math.exp(found.high),
        detectable=math.exp(found.detectable),
    )


def _ratio(bounds: Bounds, error: float, n: int, df: float, confidence: float) -> Difference:
    value, low, high = map(float, bounds)
    log, half = math.log(value), float(t_quantile(confidence, df)) * error
    p_value = t_p_value(log / error, df) if error > 0 else float(log == 0)
    detectable = math.exp(_power_factor(confidence, df) * half)
    return Difference(value, low, high, p_value, n, detectable, False, "")


def _power_factor(confidence: float, df: float) -> float:
    return float(1 + t_quantile_below(POWER, df) / t_quantile(confidence, df))


def _leaves_out_zero(bounds: Bounds) -> bool:
    return bool(bounds.low > 0 or bounds.high < 0)


def _smallest_alpha(leaves_out_zero: Callable[[float], bool]) -> float:
    """The smallest alpha whose interval leaves out 0: the p-value; 1 if none does."""
    if not leaves_out_zero(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if leaves_out_zero(middle) else (middle, high)
    return high
