"""Levels compared with a baseline, row by row: what `Session.compare` knows."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cpr_nb.stats import pairs
from cpr_nb.stats.bounds import Array
from cpr_nb.stats.metric_kinds import SHARE, SKEWED, UNBOUNDED, Metric
from cpr_nb.stats.pairs import Difference

#: What can be said of a level.
BETTER = "better"
WORSE = "worse"
NOT_SHOWN = "not_shown"
DEPENDS_ON_FAILURES = "depends_on_failures"
NO_DIFFERENCE = "no_difference"

_SAME = 1e-9


class RowMeans(NamedTuple):
    """One number a row.

    Args:
        rows: What tells the rows apart, the same under each level.
        means: The mean of each row's repeats.
        repeats: How many repeats each mean has.
        clusters: The cluster of each row, if rows of one resemble each other.
    """

    rows: Sequence[Hashable]
    means: Array
    repeats: Any
    clusters: Sequence[Hashable] | None = None


class LevelMeans(NamedTuple):
    """The rows of one level.

    Args:
        counted: Failures count: as 0, as the worst score, as what they cost.
        succeeded: Only what has succeeded.
        left_out: Why a task is missing in both → how many of them there are.
    """

    counted: RowMeans
    succeeded: RowMeans
    left_out: Mapping[str, int]


class PairCounts(NamedTuple):
    """On how many rows a level has more than the baseline, as much, and less."""

    n_more: int
    n_same: int
    n_less: int


class ComparedLevel(NamedTuple):
    """What was found about one level.

    Args:
        level: Its value.
        mean: Its mean over all its rows; failures count.
        difference: The level minus the baseline, failures counted; of costs, the ratio of the
            bills.
        succeeded: The same over the rows on which both have succeeded; None where it says nothing.
        typical: Of costs, the ratio on a typical row.
        bill: The ratio of the costs, beside another metric; None if no cost is known.
        cost_usd: What the level's rows have cost in all, in US dollars; NaN if it is not known.
        p_value: By Holm, for all levels together.
        counts: On how many rows it has more.
        n_unpaired: How many rows only one of the two has.
        verdict: Such as `BETTER`.
        is_sequence: Whether the interval is one that was valid at every look, and its verdict the
            one that stopped the session.
        n_later: How many pairs have ended that such an interval is not about.
    """

    level: Any
    mean: float
    difference: Difference
    succeeded: Difference | None
    typical: Difference | None
    bill: Difference | None
    cost_usd: float
    p_value: float
    counts: PairCounts
    n_unpaired: int
    verdict: str
    is_sequence: bool = False
    n_later: int = 0


class LevelComparison(NamedTuple):
    """What was found about all levels.

    Args:
        factor: What varied.
        metric: What is compared.
        baseline: What the levels are compared with.
        baseline_mean: Its mean over all its rows.
        baseline_cost_usd: What its rows have cost in all.
        levels: The other levels, in their order.
        confidence: That of all intervals together.
        n_repeats: The fewest and the most repeats of a row.
        left_out: Why tasks do not count → how many of them there are, of all levels.
        cluster: The column whose rows of one value resemble each other; empty if none was named.
    """

    factor: str
    metric: Metric
    baseline: Any
    baseline_mean: float
    baseline_cost_usd: float
    levels: Sequence[ComparedLevel]
    confidence: float
    n_repeats: tuple[int, int]
    left_out: Mapping[str, int]
    cluster: str = ""


def compare_levels(
    factor: str,
    metric: Metric,
    baseline: Any,
    rows: Mapping[Any, LevelMeans],
    costs: Mapping[Any, LevelMeans] | None = None,
    *,
    confidence: float = 0.95,
) -> LevelComparison:
    """Compares each level with the baseline on the rows that both have.

    Args:
        factor: What varied.
        metric: What is compared.
        baseline: One of the levels.
        rows: Level → its rows, one number each.
        costs: Level → what its rows have cost, beside another metric.
        confidence: That of all intervals together: of k levels, each has 1 - (1 - confidence) / k.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> once = np.ones(20)
        >>> a = RowMeans(range(20), np.array([0.0, 1.0] * 10), once)
        >>> b = RowMeans(range(20), np.array([1.0, 1.0, 0.0, 1.0] * 5), once)
        >>> rows = {"sonnet": LevelMeans(a, a, {}), "opus": LevelMeans(b, b, {})}
        >>> found = compare_levels("model", Metric("ok", SHARE, 0, 1), "sonnet", rows)
        >>> found.levels[0].verdict, round(found.levels[0].difference.value, 2)
        ('better', 0.25)
    """
    others = [level for level in rows if level is not baseline]
    each = 1 - (1 - confidence) / max(1, len(others))
    base, base_costs = rows[baseline], None if costs is None else costs[baseline]
    found = []
    for level in others:
        its_costs = None if costs is None else costs[level]
        found.append(_compared(metric, level, base, rows[level], base_costs, its_costs, each))
    adjusted = pairs.holm([level.difference.p_value for level in found])
    found = [level._replace(p_value=p) for level, p in zip(found, adjusted, strict=True)]
    repeats = np.concatenate([level.counted.repeats for level in rows.values()])
    n_repeats = (int(repeats.min()), int(repeats.max())) if len(repeats) else (0, 0)
    return LevelComparison(
        factor,
        metric,
        baseline,
        _mean(base.counted.means),
        _total(base if metric.name == "cost_usd" else base_costs),
        found,
        confidence,
        n_repeats,
        _left_out(rows.values()),
    )


def _compared(
    metric: Metric,
    level: Any,
    base: LevelMeans,
    other: LevelMeans,
    base_costs: LevelMeans | None,
    other_costs: LevelMeans | None,
    confidence: float,
) -> ComparedLevel:
    a, b, n_unpaired = paired(base.counted, other.counted)
    difference = _difference(metric, a, b, confidence)
    succeeded = None
    if metric.kind != SHARE and metric.kind != UNBOUNDED:
        well_a, well_b, _ = paired(base.succeeded, other.succeeded)
        succeeded = _difference(metric, well_a, well_b, confidence)
    bill = None
    if base_costs is not None and other_costs is not None:
        cost_a, cost_b, _ = paired(base_costs.counted, other_costs.counted)
        bill = pairs.bill_ratio(
            cost_a.means, cost_b.means, confidence=confidence, clusters=cost_a.clusters
        )
    typical = None
    if metric.kind == SKEWED:
        typical = pairs.typical_ratio(a.means, b.means, confidence=confidence, clusters=a.clusters)
    return ComparedLevel(
        level,
        _mean(other.counted.means),
        difference,
        succeeded,
        typical,
        bill,
        _total(other if metric.name == "cost_usd" else other_costs),
        difference.p_value,
        _counts(a.means, b.means),
        n_unpaired,
        _verdict(metric, difference, succeeded),
    )


def paired(a: RowMeans, b: RowMeans) -> tuple[RowMeans, RowMeans, int]:
    """The rows that both levels have, in the same order.

    Args:
        a: The baseline's.
        b: The other level's.

    Returns:
        The rows of both, and how many rows only one of them has.

    Example:
        >>> a = RowMeans(["x", "y"], np.array([1.0, 2.0]), np.ones(2))
        >>> b = RowMeans(["y", "z"], np.array([3.0, 4.0]), np.ones(2))
        >>> one, two, n_unpaired = paired(a, b)
        >>> one.means.tolist(), two.means.tolist(), n_unpaired
        ([2.0], [3.0], 2)
    """
    places = {row: place for place, row in enumerate(b.rows)}
    here = [place for place, row in enumerate(a.rows) if row in places]
    there = [places[a.rows[place]] for place in here]
    n_unpaired = len(a.rows) + len(b.rows) - 2 * len(here)
    return _rows_at(a, here), _rows_at(b, there), n_unpaired


def rows_among(means: RowMeans, rows: Collection[Hashable]) -> RowMeans:
    """Some of the rows.

    Args:
        means: One number a row.
        rows: Which of them.

    Example:
        >>> rows_among(RowMeans(["x", "y"], np.array([1.0, 2.0]), np.ones(2)), {"y"}).means
        array([2.])
    """
    return _rows_at(means, [place for place, row in enumerate(means.rows) if row in rows])


def _rows_at(rows: RowMeans, places: Sequence[int]) -> RowMeans:
    chosen = np.asarray(places, int)
    names = [rows.rows[place] for place in places]
    clusters = None if rows.clusters is None else [rows.clusters[place] for place in places]
    numbers = np.asarray(rows.means)[chosen], np.asarray(rows.repeats)[chosen]
    return RowMeans(names, *numbers, clusters)


def _difference(metric: Metric, a: RowMeans, b: RowMeans, confidence: float) -> Difference:
    if metric.kind == SKEWED:
        return pairs.bill_ratio(a.means, b.means, confidence=confidence, clusters=a.clusters)
    if metric.kind == UNBOUNDED:
        return pairs.mean_difference(a.means, b.means, confidence=confidence, clusters=a.clusters)
    width = metric.maximum - metric.minimum
    found = pairs.share_difference(
        metric.to_unit(a.means),
        a.repeats,
        metric.to_unit(b.means),
        b.repeats,
        confidence=confidence,
        is_share=metric.kind == SHARE,
        clusters=a.clusters,
    )
    return found._replace(
        value=found.value * width,
        low=found.low * width,
        high=found.high * width,
        detectable=found.detectable * width,
    )


def _verdict(metric: Metric, difference: Difference, succeeded: Difference | None) -> str:
    verdict = _side(metric, difference)
    if succeeded is None or math.isnan(succeeded.low):
        return verdict
    return verdict if verdict == _side(metric, succeeded) else DEPENDS_ON_FAILURES


def _side(metric: Metric, difference: Difference) -> str:
    """On which side of "no difference" the interval lies; of costs, less is better."""
    same = 1.0 if metric.kind == SKEWED else 0.0
    if difference.low > same:
        return WORSE if metric.kind == SKEWED else BETTER
    if difference.high < same:
        return BETTER if metric.kind == SKEWED else WORSE
    return NOT_SHOWN


def _counts(a: Array, b: Array) -> PairCounts:
    difference = b - a
    size = _SAME * (1 + np.abs(a))
    more, less = int((difference > size).sum()), int((difference < -size).sum())
    return PairCounts(more, len(a) - more - less, less)


def _mean(means: Array) -> float:
    return float(means.mean()) if len(means) else math.nan


def _total(costs: LevelMeans | None) -> float:
    if costs is None or not len(costs.counted.means):
        return math.nan
    return float((costs.counted.means * costs.counted.repeats).sum())


def _left_out(rows: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for level in rows:
        for reason, n in level.left_out.items():
            total[reason] = total.get(reason, 0) + n
    return total
