"""What kind of number a column of results is, and so which interval its mean gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from cpr_nb.stats.bounds import Array
from cpr_nb.stats.estimates import (
    CONFIDENCE,
    Estimate,
    mean_interval,
    share_interval,
    skewed_interval,
)

#: The kinds: yes or no; numbers whose range is stated; numbers of any size; amounts from 0.
SHARE, BOUNDED, UNBOUNDED, SKEWED = "share", "bounded", "unbounded", "skewed"
#: The columns of results that are amounts.
_AMOUNTS = ("cost_usd", "duration_s")


class Metric(NamedTuple):
    """A column of results whose means are compared.

    Args:
        name: The column.
        kind: `SHARE`, `BOUNDED`, `UNBOUNDED` or `SKEWED`.
        minimum: The least that it can be; NaN if nobody has said so.
        maximum: The most that it can be.
    """

    name: str
    kind: str
    minimum: float = math.nan
    maximum: float = math.nan

    @property
    def is_bounded(self) -> bool:
        """Whether its range is known."""
        return self.kind in (SHARE, BOUNDED)

    def to_unit(self, values: Any) -> Array:
        """Values of a known range as numbers from 0 to 1.

        Example:
            >>> Metric("score", BOUNDED, 1, 5).to_unit([1, 2, 5]).tolist()
            [0.0, 0.25, 1.0]
        """
        numbers: Array = np.asarray(values, float)
        return (numbers - self.minimum) / (self.maximum - self.minimum)

    def from_unit(self, value: float) -> float:
        """The reverse of `to_unit`, for one value."""
        return self.minimum + value * (self.maximum - self.minimum)


def metric_of(
    name: str,
    schema: Any = None,
    *,
    score: Mapping[str, Any] | None = None,
    stated: Mapping[str, tuple[float, float]] | None = None,
) -> Metric:
    """What a column is, by what is said of it, never by the values that it happens to have.

    Args:
        name: The column.
        schema: The JSON schema of the answers; None if they are texts or have several.
        score: What the session's request says of its score.
        stated: Column → its least and its most, as the user has stated them.

    Example:
        >>> schema = {"properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}}}
        >>> metric_of("stars", schema)
        Metric(name='stars', kind='bounded', minimum=1.0, maximum=5.0)
        >>> metric_of("ok").kind, metric_of("cost_usd").kind, metric_of("stars").kind
        ('share', 'skewed', 'unbounded')
    """
    if name == "ok":
        return Metric(name, SHARE, 0.0, 1.0)
    if name in _AMOUNTS:
        return Metric(name, SKEWED, 0.0)
    if stated and name in stated:
        return Metric(name, BOUNDED, *map(float, stated[name]))
    if name == "score" and score:
        return _score_metric(name, score, schema)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    field = properties.get(name) if isinstance(properties, Mapping) else None
    return _metric_of_field(name, field)


def _score_metric(name: str, score: Mapping[str, Any], schema: Any) -> Metric:
    if score.get("kind") == "check":
        return Metric(name, SHARE, 0.0, 1.0)
    least, most = score.get("minimum"), score.get("maximum")
    if _is_number(least) and _is_number(most):
        return Metric(name, BOUNDED, float(least), float(most))
    if score.get("kind") == "column":
        return metric_of(str(score.get("name")), schema)._replace(name=name)
    return Metric(name, UNBOUNDED)


def _metric_of_field(name: str, field: Any) -> Metric:
    if not isinstance(field, Mapping):
        return Metric(name, UNBOUNDED)
    if field.get("type") == "boolean":
        return Metric(name, SHARE, 0.0, 1.0)
    values = field.get("enum")
    if isinstance(values, list) and values and all(map(_is_number, values)):
        least, most = min(values), max(values)
    else:
        least = field.get("minimum", field.get("exclusiveMinimum"))
        most = field.get("maximum", field.get("exclusiveMaximum"))
    if _is_number(least) and _is_number(most) and least < most:
        return Metric(name, BOUNDED, float(least), float(most))
    return Metric(name, UNBOUNDED)


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def interval_of(
    metric: Metric,
    means: Any,
    repeats: Any,
    *,
    confidence: float = CONFIDENCE,
    clusters: Any = None,
) -> Estimate:
    """The mean of a metric over rows with its interval, in the metric's own unit.

    Args:
        metric: The column.
        means: The mean of each row's repeats.
        repeats: How many repeats each row has.
        confidence: The share of such intervals that hold the truth.
        clusters: The cluster of each row, if rows of one resemble each other.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> found = interval_of(Metric("stars", BOUNDED, 1, 5), [1, 5, 4, 4], [1] * 4)
        >>> found.value, found.low > 1, found.high < 5
        (3.5, True, True)
    """
    if metric.is_bounded:
        unit = metric.to_unit(means)
        found = share_interval(
            unit,
            repeats,
            confidence=confidence,
            is_share=metric.kind == SHARE,
            clusters=clusters,
        )
        value, low, high = map(metric.from_unit, found[:3])
        return found._replace(value=value, low=low, high=high)
    if metric.kind == UNBOUNDED:
        return mean_interval(means, confidence=confidence, clusters=clusters)
    if clusters is None:
        return skewed_interval(means, confidence=confidence)
    found = mean_interval(means, confidence=confidence, clusters=clusters)
    return found._replace(low=max(found.low, 0.0))


def method_of(metric: Metric, *, has_clusters: bool = False) -> str:
    """The name of the method that `interval_of` uses.

    Example:
        >>> method_of(Metric("cost_usd", SKEWED))
        "Hall's transformed t on row means"
    """
    if metric.is_bounded:
        words = "Wilson's interval with t on the effective number of rows, shrunk by half a row"
    elif metric.kind == SKEWED and not has_clusters:
        words = "Hall's transformed t on row means"
    else:
        words = "Student's t on row means"
    return f"{words}; clusters by CR2 and Satterthwaite" if has_clusters else words
