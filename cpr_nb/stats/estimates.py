"""A mean over rows with its interval: shares and bounded scores, other scores, costs and times."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cpr_nb.model.errors import InputError
from cpr_nb.stats.bounds import (
    Spread,
    cluster_spread,
    halls_t,
    row_spread,
    shrunk_wilson,
)
from cpr_nb.stats.quantiles import t_quantile

Array = npt.NDArray[np.float64]

#: The level of intervals unless someone asks for another one.
CONFIDENCE = 0.95
#: Means without a known range are uncertain under so many rows.
ENOUGH_ROWS = 30
#: Very unequal costs need so many rows, and so large a standard deviation of the logs is that.
_ENOUGH_UNEQUAL_ROWS, _UNEQUAL_LOG_SD = 100, 1.2
#: With fewer degrees of freedom, one or two clusters make up nearly all of it.
_ENOUGH_CLUSTER_DF = 4


class Estimate(NamedTuple):
    """A mean over rows with its interval.

    Args:
        value: The mean; NaN without rows.
        low: The lower end; NaN if there is no interval.
        high: The upper end.
        n: The number of independent units: rows, or clusters if there are some.
        df: The degrees of freedom of the interval.
        uncertain: Why the interval may be too narrow; empty if nothing says so.
    """

    value: float
    low: float
    high: float
    n: int
    df: float
    uncertain: str


def share_interval(
    means: Any,
    repeats: Any,
    *,
    confidence: float = CONFIDENCE,
    is_share: bool = True,
    clusters: Any = None,
) -> Estimate:
    """The mean of numbers from 0 to 1, such as shares of success or scores of a known range.

    It is Wilson's interval on the effective number of rows, with Student's t. The measured spread
    is drawn a little towards the largest possible one, because few rows often measure too little.

    Args:
        means: The mean of each row's repeats, from 0 to 1.
        repeats: How many repeats each row has.
        confidence: The share of such intervals that hold the truth.
        is_share: Whether each repeat is 0 or 1.
        clusters: The cluster of each row, such as its repository, if rows of one resemble each
            other.

    Raises:
        InputError: If a mean lies outside 0 to 1, or the lengths differ.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = share_interval([1, 1, 0.8, 1, 0, 1, 0.6, 1], [5] * 8)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.8, 0.429, 0.955)
    """
    values, counts = _array(means, "means"), _array(repeats, "repeats")
    if len(values) != len(counts):
        raise InputError(f"there are {len(counts)} for {len(values)} means", "repeats")
    if not np.all((values >= 0) & (values <= 1)):
        raise InputError("must lie from 0 to 1: map scores to that range first", "means")
    if not np.all(counts >= 1):
        raise InputError("must be at least 1: leave out rows without one", "repeats")
    spread = _spread(values, clusters)
    if spread is None:
        return _without_interval(values, clusters)
    t = t_quantile(confidence, spread.df)
    bounds = shrunk_wilson(spread, t, counts if is_share else None)
    uncertain = "" if clusters is None else few_clusters(spread)
    return _estimate(bounds, spread, uncertain)


def mean_interval(means: Any, *, confidence: float = CONFIDENCE, clusters: Any = None) -> Estimate:
    """The mean of numbers whose range nobody knows: Student's t.

    Args:
        means: The mean of each row's repeats.
        confidence: The share of such intervals that hold the truth.
        clusters: The cluster of each row, if rows of one resemble each other.

    Raises:
        InputError: If the lengths differ.
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = mean_interval([1.0, 2.0, 3.0, 4.0])
        >>> round(found.low, 3), round(found.high, 3), found.uncertain
        (0.446, 4.554, 'under 30 rows')
    """
    values = _array(means, "means")
    spread = _spread(values, clusters)
    if spread is None:
        return _without_interval(values, clusters)
    half = float(t_quantile(confidence, spread.df)) * math.sqrt(spread.variance)
    mean = float(spread.mean)
    bounds = (mean, mean - half, mean + half)
    if clusters is None:
        uncertain = few_rows(len(values))
    else:
        uncertain = few_clusters(spread) or few_rows(spread.n_units, "clusters")
    return _estimate(bounds, spread, uncertain)


def skewed_interval(means: Any, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of costs, durations or tokens, which are skewed: Hall's transformed t.

    Args:
        means: The mean of each row's repeats, not negative.
        confidence: The share of such intervals that hold the truth.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = skewed_interval([0.12, 0.3, 0.22, 0.9, 0.41, 0.18, 0.33, 2.2, 0.15, 0.5])
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.531, 0.222, 2.176)
    """
    values = _array(means, "means")
    spread = _spread(values, None)
    if spread is None:
        return _without_interval(values, None)
    bounds = halls_t(values, t_quantile(confidence, spread.df))
    low = max(0.0, float(bounds.low))
    return _estimate((bounds.value, low, bounds.high), spread, skewed_doubt(values))


def skewed_doubt(means: Any) -> str:
    """Why the interval of a mean cost may be too narrow; empty if nothing says so.

    Not by the skewness of the rows: a sample that has missed the long tail looks calm.

    Args:
        means: The mean of each row's repeats.

    Example:
        >>> skewed_doubt([0.1, 0.2]), skewed_doubt([0.1, 0.2] * 50)
        ('under 30 rows', '')
    """
    values = np.asarray(means, float)
    few = few_rows(len(values))
    if few or len(values) >= _ENOUGH_UNEQUAL_ROWS:
        return few
    logs = np.log(values[values > 0])
    if len(logs) > 1 and float(logs.std(ddof=1)) > _UNEQUAL_LOG_SD:
        return f"under {_ENOUGH_UNEQUAL_ROWS} rows, and they differ very much"
    return ""


def few_rows(n: int, unit: str = "rows") -> str:
    """That there are too few of them to be sure; empty if there are enough.

    Example:
        >>> few_rows(12, "pairs")
        'under 30 pairs'
    """
    return f"under {ENOUGH_ROWS} {unit}" if n < ENOUGH_ROWS else ""


def _array(values: Any, where: str) -> Array:
    array = np.asarray(values, float)
    if array.ndim != 1 or np.isnan(array).any():
        raise InputError("must be one number a row, and none may be missing", where)
    return array


def _spread(values: Array, clusters: Any) -> Spread | None:
    """The spread of the rows; None if there is only one, or only one cluster."""
    if clusters is not None and len(clusters) != len(values):
        raise InputError(f"there are {len(clusters)} for {len(values)} rows", "clusters")
    if len(values) < 2 or (clusters is not None and len(set(clusters)) < 2):
        return None
    with np.errstate(all="ignore"):  # such as infinite scores
        return row_spread(values) if clusters is None else cluster_spread(values, clusters)


def _without_interval(values: Array, clusters: Any) -> Estimate:
    value = float(values.mean()) if len(values) else math.nan
    unit, n = ("row", len(values)) if clusters is None else ("cluster", len(set(clusters)))
    return Estimate(value, math.nan, math.nan, n, math.nan, f"one {unit}" if n else f"no {unit}s")


def _estimate(bounds: Any, spread: Spread, uncertain: str) -> Estimate:
    value, low, high = map(float, bounds)
    return Estimate(value, low, high, spread.n_units, float(spread.df), uncertain)


def few_clusters(spread: Spread) -> str:
    """That one or two clusters make up nearly all of a figure; empty if they do not.

    Args:
        spread: That of the clusters.

    Example:
        >>> few_clusters(cluster_spread([0.0, 0.2, 0.9, 1.0], ["a", "a", "b", "b"]))
        'few clusters carry it (1.0 degrees of freedom)'
    """
    if spread.df >= _ENOUGH_CLUSTER_DF:
        return ""
    return f"few clusters carry it ({spread.df:.1f} degrees of freedom)"
