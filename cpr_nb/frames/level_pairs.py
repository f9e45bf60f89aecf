"""The rows of a session's results that levels of a factor share, and what compares them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.row_metrics import (
    LevelRows,
    RowMetric,
    TaskFacts,
    column_numbers,
    row_metric,
)
from cpr_nb.frames.summary import group_positions, row_clusters
from cpr_nb.model.decision import Decision
from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import REPEAT, as_json
from cpr_nb.model.text import shorten
from cpr_nb.stats.comparison import (
    ComparedLevel,
    LevelComparison,
    LevelMeans,
    RowMeans,
    compare_levels,
)
from cpr_nb.stats.decided_levels import compare_entered, decision_about
from cpr_nb.stats.metric_kinds import SKEWED, Metric

_COST = Metric("cost_usd", SKEWED, 0.0)


def compare_results(
    results: pd.DataFrame,
    facts: TaskFacts,
    by: str,
    baseline: Any,
    metric: Metric,
    decision: Decision | None = None,
    order: Sequence[int] = (),
    *,
    is_factor: bool = False,
    cluster: Any = None,
) -> LevelComparison:
    """Compares the levels of a factor; see `Session.compare`.

    Args:
        results: The table of results.
        facts: The rows and reasons of its tasks.
        by: The factor.
        baseline: The level that the others are compared with; None for the first one.
        metric: What is compared.
        decision: What may stop the session early.
        order: Its tasks in the order that was drawn at the launch.
        is_factor: Whether `vary` gave the levels: then None may be one of them.
        cluster: The column whose rows of one value resemble each other.

    Raises:
        InputError: If there is no such factor, level or cluster, or levels share no row.
        StatsMissing: If SciPy is not installed.
    """
    levels = {key[0]: positions for key, positions in group_positions(results, [by]).items()}
    levels = _named(levels, is_factor=is_factor)
    base = find_level(by, levels, baseline)
    _check_pairs(by, base, levels, facts)
    _check_numbers(results, metric.name)
    clusters = None if cluster is None else row_clusters(results, facts, cluster)
    rows = _level_means(row_metric(results, facts, metric, levels), clusters)
    costs = None
    if metric.name != _COST.name:
        costs = _level_means(row_metric(results, facts, _COST, levels), clusters)
    comparison = compare_levels(by, metric, base, rows, costs)
    if cluster is not None:
        comparison = comparison._replace(cluster=str(cluster))
    decision = None if decision is None else decision_about(decision, comparison)
    if decision is None:
        return comparison
    if cluster is not None:
        raise InputError(
            "stop_when takes rows for independent of each other, and so does the range of its "
            "decision: leave it out",
            "cluster",
        )
    # With rows that another session has answered, the table has more tasks than the order.
    is_known = len(order) == len(facts.rows)
    drawn = list(dict.fromkeys(facts.rows[task] for task in order)) if is_known else []
    return compare_entered(comparison, decision, rows, costs, drawn)


def choose_factor(by: Any, factors: Sequence[str], columns: Sequence[Any]) -> str:
    """The factor that is compared.

    Args:
        by: What the caller asked for; None for the only factor.
        factors: The factors of the session.
        columns: The columns of its results.

    Raises:
        InputError: If there is none, or several.

    Example:
        >>> choose_factor(None, ["model", "repeat"], [])
        'model'
    """
    factors = [factor for factor in factors if factor != REPEAT]
    if by is None and len(factors) == 1:
        return factors[0]
    if by is None:
        names = f"one of {shorten(factors)}" if factors else "vary= gives the levels of one"
        raise InputError(f"name the factor whose levels are compared: {names}", "by")
    if not isinstance(by, str):
        raise InputError(
            f"takes the name of one factor, not {by!r}: compare another one by another call; "
            "summary(by=[...]) shows several beside each other",
            "by",
        )
    if by not in columns and by not in factors:
        existing = shorten([str(column) for column in (*factors, *columns)], 20)
        raise InputError(f"the results have no column {by!r}; they have {existing}", "by")
    return by


def find_level(by: str, levels: Any, baseline: Any) -> Any:
    """The level that the caller means.

    Args:
        by: The factor.
        levels: Its levels, in their order.
        baseline: The level as the caller has given it; None for the first one.

    Raises:
        InputError: If there is no such level, or only one.

    Example:
        >>> find_level("model", ["sonnet", "opus"], None)
        'sonnet'
    """
    names = list(levels)
    shown = shorten([repr(level) for level in names])
    if len(names) < 2:
        only = f"only the level {shown}" if names else "no level"
        raise InputError(f"{by} has {only}: there is nothing to compare", "by")
    if baseline is None:
        return names[0]
    meant = as_json(baseline)
    for level in names:
        if level == meant or (not isinstance(meant, Hashable) and level == str(meant)):
            return level
    raise InputError(f"{by} has no level {baseline!r}; it has {shown}", "baseline")


def _check_pairs(by: str, base: Any, levels: dict[Any, list[int]], facts: TaskFacts) -> None:
    """Refuses levels that were never meant to run on the same rows."""
    rows = {level: {facts.rows[place] for place in places} for level, places in levels.items()}
    for level, its_rows in rows.items():
        if not its_rows & rows[base]:
            raise InputError(
                f"no row was run under both {base!r} and {level!r}, so there are no pairs to "
                f"compare: vary={{{by!r}: [...]}} runs each row under every level; "
                f"summary(by={by!r}) shows such groups beside each other",
                "by",
            )


def _check_numbers(results: pd.DataFrame, name: str) -> None:
    """Refuses a column in which every success has something else than a number."""
    there = results[name][results["ok"].fillna(False).astype(bool)].dropna()
    if len(there) and np.isnan(column_numbers(there)).all():
        raise InputError(
            f"{name!r} has no numbers, but values such as {there.iloc[0]!r:.60}", "metric"
        )


def _level_means(metric: RowMetric, clusters: Mapping[int, Any] | None) -> dict[Any, LevelMeans]:
    return {
        level: LevelMeans(
            _row_means(counted, clusters),
            _row_means(metric.succeeded[level], clusters),
            counted.left_out,
        )
        for level, counted in metric.counted.items()
    }


def _row_means(rows: LevelRows, clusters: Mapping[int, Any] | None) -> RowMeans:
    names = rows.rows.tolist()
    labels = None if clusters is None else [clusters[row] for row in names]
    return RowMeans(names, rows.means, rows.repeats, labels)


def _named(levels: dict[Any, list[int]], *, is_factor: bool) -> dict[Any, list[int]]:
    """The levels; a missing one is None if `vary` has it, and else none."""
    named = {}
    for level, positions in levels.items():
        if not _is_missing(level):
            named[level] = positions
        elif is_factor:
            named[None] = positions
    # A missing value comes last in a column; where vary has it, it may be the first level.
    in_order = None in named
    return dict(sorted(named.items(), key=lambda item: item[1][0])) if in_order else named


def _is_missing(level: Any) -> bool:
    return bool(pd.api.types.is_scalar(level) and pd.isna(level))


def comparison_table(comparison: LevelComparison, method: str) -> pd.DataFrame:
    """A comparison as a table: one row a level.

    Args:
        comparison: The comparison.
        method: How it was made.
    """
    rows = [_table_row(comparison, level) for level in comparison.levels]
    index = pd.Index([level.level for level in comparison.levels], name=comparison.factor)
    table = pd.DataFrame(rows, index=index)
    table.attrs |= {
        "baseline": comparison.baseline,
        "baseline_mean": comparison.baseline_mean,
        "metric": comparison.metric.name,
        "confidence": comparison.confidence,
        "cluster": comparison.cluster or None,
        "missing": dict(comparison.left_out),
        "method": method,
    }
    return table


def _table_row(comparison: LevelComparison, level: ComparedLevel) -> dict[str, Any]:
    is_ratio = comparison.metric.kind == SKEWED
    name = "ratio" if is_ratio else "difference"
    row: dict[str, Any] = {"n_pairs": level.difference.n_pairs, "mean": level.mean}
    row |= _range_columns(name, level.difference)
    row |= _range_columns(f"{name}_without_failures", level.succeeded) if level.succeeded else {}
    row |= _range_columns("typical_ratio", level.typical) if level.typical else {}
    row |= _range_columns("cost_ratio", level.bill) if level.bill else {}
    counts = dict(zip(("n_more", "n_same", "n_less"), level.counts, strict=True))
    return (
        row
        | counts
        | {
            "p_value": level.p_value,
            "detectable": level.difference.detectable,
            "verdict": level.verdict,
            "uncertain": level.difference.uncertain,
        }
    )


def _range_columns(name: str, difference: Any) -> dict[str, float]:
    low, high = difference.low, difference.high
    return {name: difference.value, f"{name}_low": low, f"{name}_high": high}
