"""Formulas of the intervals, on arrays: the last axis is the rows, so many tables go at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: The spread of few rows is often measured too small: so much of a row says that it is the largest.
_DISTRUST_ROWS = 0.5
#: So many informative rows halve the trust in a measured correlation of two levels. Scores need
#: more than shares: ten even scores correlate even if the one row that differs is not among them.
HALF_TRUST_OF_SHARES, HALF_TRUST_OF_SCORES = 4.0, 12.0


class Spread(NamedTuple):
    """How precisely rows determine their mean.

    Args:
        mean: The mean over the rows.
        variance: The variance of the mean.
        n_units: The number of independent units: rows or clusters.
        df: The degrees of freedom of the variance.
    """

    mean: Any
    variance: Any
    n_units: int
    df: float


class Bounds(NamedTuple):
    """A value and its interval, each a number or an array."""

    value: Any
    low: Any
    high: Any


def row_spread(means: Any) -> Spread:
    """The spread of independent rows.

    Args:
        means: One number a row, along the last axis.

    Example:
        >>> row_spread([0.0, 0.5, 1.0]).variance.round(4)
        np.float64(0.0833)
    """
    means = np.asarray(means, float)
    n = means.shape[-1]
    variance = means.var(axis=-1, ddof=1) / n
    return Spread(means.mean(axis=-1), variance, n, n - 1)


def cluster_spread(means: Any, clusters: Any) -> Spread:
    """The spread of rows that resemble each other inside their clusters.

    The variance is the bias-reduced one (CR2) of a mean, and the degrees of freedom are
    Satterthwaite's, for clusters of unequal size.

    Args:
        means: One number a row.
        clusters: The cluster of each row.

    Example:
        >>> spread = cluster_spread([0.0, 0.2, 0.9, 1.0], ["a", "a", "b", "b"])
        >>> spread.n_units, round(spread.df, 6)
        (2, 1.0)
    """
    means = np.asarray(means, float)
    codes = _codes(clusters)
    n = len(means)
    sizes = np.bincount(codes).astype(float)
    mean, shares = means.mean(), sizes / n
    residuals = np.bincount(codes, weights=means - mean)
    variance = float(np.sum(residuals**2 / (1 - shares))) / n**2
    # The variance is a weighted sum of squares; these are the covariances of what is squared.
    scale = np.sqrt(1 - shares)
    covariances = (np.diag(sizes) - np.outer(sizes, sizes) / n) / np.outer(scale, scale)
    df = float(np.trace(covariances) ** 2 / np.sum(covariances**2))
    return Spread(mean, variance, len(sizes), df)


def _codes(clusters: Any) -> npt.NDArray[np.int64]:
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(cluster, len(codes)) for cluster in clusters], np.int64)


def cluster_sums(values: Any, clusters: Any) -> Array:
    """The sum of each cluster, in the order in which they occur.

    Args:
        values: One number a row.
        clusters: The cluster of each row.

    Example:
        >>> cluster_sums([1.0, 2.0, 4.0], ["b", "a", "b"])
        array([5., 2.])
    """
    return np.asarray(np.bincount(_codes(clusters), weights=np.asarray(values, float)), float)


def shrunk_wilson(spread: Spread, t: Any, repeats: Any = None) -> Bounds:
    """The interval of a mean of numbers from 0 to 1: Wilson's, on the effective number of rows.

    Args:
        spread: Of the row means.
        t: The quantile.
        repeats: Of a share, the number of attempts a row, along the last axis: it is never known
            better than from attempts that are independent of each other. None for scores.

    Example:
        >>> bounds = shrunk_wilson(row_spread([1] * 9 + [0]), 2.262157)
        >>> round(float(bounds.low), 4), round(float(bounds.high), 4)
        (0.5437, 0.9855)
    """
    mean, n = spread.mean, spread.n_units
    product = mean * (1 - mean)
    worst = product / n  # all repeats of a row agree
    variance = np.minimum(spread.variance, worst)
    if repeats is not None:
        variance = np.maximum(variance, _independent_variance(product, repeats))
    n_informative = 4 * n * product
    variance = (n_informative * variance + _DISTRUST_ROWS * worst) / (
        n_informative + _DISTRUST_ROWS
    )
    is_mixed = product > 0
    effective = np.where(is_mixed, product / np.where(is_mixed, variance, 1.0), n)
    z = t * t / effective
    centre = (mean + z / 2) / (1 + z)
    half = np.sqrt(np.maximum(product * z + z * z / 4, 0)) / (1 + z)
    low = np.minimum(np.maximum(centre - half, 0.0), mean)
    return Bounds(mean, low, np.maximum(np.minimum(centre + half, 1.0), mean))


def _independent_variance(product: Any, repeats: Any) -> Any:
    """The variance of a share if every attempt were independent of all others."""
    counts = np.asarray(repeats, float)
    return product * np.sum(1 / counts, axis=-1) / counts.shape[-1] ** 2


def halls_t(means: Any, t: Any) -> Bounds:
    """The interval of a mean of skewed numbers: Hall's transformed t (1992).

    Args:
        means: One number a row, along the last axis.
        t: The quantile.

    Example:
        >>> costs = [0.12, 0.3, 0.22, 0.9, 0.41, 0.18, 0.33, 2.2, 0.15, 0.5]
        >>> bounds = halls_t(costs, 2.262157)
        >>> round(float(bounds.low), 4), round(float(bounds.high), 4)
        (0.2217, 2.1763)
    """
    means = np.asarray(means, float)
    spread = row_spread(means)
    centred = means - np.expand_dims(spread.mean, -1)
    second, third = np.mean(centred**2, axis=-1), np.mean(centred**3, axis=-1)
    with np.errstate(all="ignore"):  # what divides by zero is not used
        skewness = np.where(second > 0, third / second**1.5, 0.0)
    a = skewness / np.sqrt(means.shape[-1])
    error = np.sqrt(spread.variance)
    return Bounds(
        spread.mean,
        spread.mean - error * _transformed(t, a),
        spread.mean - error * _transformed(-t, a),
    )


def _transformed(quantile: Any, a: Any) -> Any:
    is_skewed = np.abs(a) > 1e-6
    divisor = np.where(is_skewed, a, 1.0)
    root = np.cbrt(1 + divisor * (quantile - divisor / 6))
    return np.where(is_skewed, 3 / divisor * (root - 1), quantile)


def square_and_add(a: Bounds, b: Bounds, correlation: Any) -> Bounds:
    """The interval of b - a from the intervals of both: Newcombe's (1998), for pairs.

    Args:
        a: The baseline.
        b: The other level.
        correlation: Of the row means of both.

    Example:
        >>> both = square_and_add(Bounds(0.5, 0.4, 0.6), Bounds(0.7, 0.6, 0.8), 0.0)
        >>> [round(float(number), 3) for number in both]
        [0.2, 0.059, 0.341]
    """
    difference = b.value - a.value
    a_down, a_up, b_down, b_up = (
        a.value - a.low,
        a.high - a.value,
        b.value - b.low,
        b.high - b.value,
    )
    below = b_down**2 - 2 * correlation * b_down * a_up + a_up**2
    above = b_up**2 - 2 * correlation * b_up * a_down + a_down**2
    low = difference - np.sqrt(np.maximum(below, 0))
    return Bounds(difference, low, difference + np.sqrt(np.maximum(above, 0)))


def trusted_correlation(a_means: Any, b_means: Any, half_trust: float, clusters: Any = None) -> Any:
    """How two levels go together by row, as far as few informative rows can tell.

    Args:
        a_means: One number from 0 to 1 a row, along the last axis.
        b_means: The same rows under the other level.
        half_trust: How many informative rows halve the trust.
        clusters: The cluster of each row, if rows of one resemble each other: then it is the
            correlation of the clusters, weighted as in `cluster_spread`.

    Returns:
        The correlation, drawn towards 0; 0 if one of them has no spread.

    Example:
        >>> float(trusted_correlation([0, 1], [0, 1], 4.0)).__round__(3)
        0.333
    """
    a, b = np.asarray(a_means, float), np.asarray(b_means, float)
    a_mean, b_mean = a.mean(axis=-1), b.mean(axis=-1)
    a_rest, b_rest = a - np.expand_dims(a_mean, -1), b - np.expand_dims(b_mean, -1)
    n_units = a.shape[-1]
    if clusters is not None:
        codes = _codes(clusters)
        sizes = np.bincount(codes)
        n_units, weights = len(sizes), np.sqrt(1 - sizes / len(a))
        a_rest, b_rest = (np.bincount(codes, weights=rest) / weights for rest in (a_rest, b_rest))
    scale = np.sqrt(np.sum(a_rest**2, axis=-1) * np.sum(b_rest**2, axis=-1))
    has_spread = scale > 1e-12
    together = np.sum(a_rest * b_rest, axis=-1)
    correlation = np.where(has_spread, together / np.where(has_spread, scale, 1.0), 0.0)
    n_informative = 4 * n_units * np.minimum(a_mean * (1 - a_mean), b_mean * (1 - b_mean))
    return correlation * n_informative / (n_informative + half_trust)


def jackknife_ratio(a: Any, b: Any, t: Any) -> tuple[Bounds, Any]:
    """The ratio of two totals and its interval, by leaving out each row once.

    Args:
        a: The baseline's cost of each row, along the last axis.
        b: The same rows under the other level.
        t: The quantile.

    Returns:
        The ratio with its interval, and the standard error of its logarithm.

    Example:
        >>> bounds, _ = jackknife_ratio([1, 2, 3], [2, 4, 6], 4.3)
        >>> [round(float(end), 3) for end in bounds]
        [2.0, 2.0, 2.0]
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    a_total, b_total = a.sum(axis=-1), b.sum(axis=-1)
    with np.errstate(all="ignore"):  # one row that has paid all leaves nothing to divide
        rest = np.log((np.expand_dims(b_total, -1) - b) / (np.expand_dims(a_total, -1) - a))
        centred = rest - np.expand_dims(rest.mean(axis=-1), -1)
        error = np.sqrt((a.shape[-1] - 1) * np.mean(centred**2, axis=-1))
        log = np.log(b_total / a_total)
        return Bounds(np.exp(log), np.exp(log - t * error), np.exp(log + t * error)), error
