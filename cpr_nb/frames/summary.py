"""Groups of results beside each other: shares and means of rows with their confidence intervals."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.row_metrics import (
    LevelRows,
    RowMetric,
    TaskFacts,
    depends_on_failures,
    level_interval,
    row_metric,
)
from cpr_nb.model.decision import Decision
from cpr_nb.model.errors import InputError, StatsMissing
from cpr_nb.model.factors import REPEAT
from cpr_nb.model.text import visible_line
from cpr_nb.stats.estimates import Estimate
from cpr_nb.stats.metric_kinds import SHARE, SKEWED, Metric, method_of
from cpr_nb.stats.quantiles import has_scipy

#: What every summary has.
_OK = Metric("ok", SHARE, 0.0, 1.0)
_AMOUNTS = (Metric("cost_usd", SKEWED, 0.0), Metric("duration_s", SKEWED, 0.0))
#: The reason of candidates that a sibling with a full mark has ended.
_NOT_NEEDED = "not_needed"
#: The group of a table that is not divided.
_ALL = ()


def summarize(
    results: pd.DataFrame,
    facts: TaskFacts,
    by: str | Sequence[str] | None,
    factors: Sequence[str],
    scores: Sequence[Metric] = (),
    cluster: Any = None,
    decision: Decision | None = None,
) -> pd.DataFrame:
    """Makes one row per group; see `Session.summary`.

    Args:
        results: The table of results.
        facts: The rows and reasons of its tasks.
        by: The columns that define the groups; None for the factors.
        factors: The names of the factors.
        scores: The scores, if there are some.
        cluster: The column whose rows of one value resemble each other.
        decision: What a session has decided that ends as soon as it knows enough.
    """
    names = _group_names(by, factors)
    _check_names(results, names, "by")
    clusters = None if cluster is None else row_clusters(results, facts, cluster)
    groups = group_positions(results, names)
    metrics = [row_metric(results, facts, metric, groups) for metric in (_OK, *scores, *_AMOUNTS)]
    has_intervals = has_scipy()
    if not has_intervals:
        warnings.warn(visible_line(f"{StatsMissing()}; the summary has none"), stacklevel=3)
    rows = [
        _row(results.iloc[positions], group, metrics, clusters, has_intervals=has_intervals)
        for group, positions in groups.items()
    ]
    table = _table(rows, list(groups), names)
    missing: Counter[str] = Counter()
    for level in metrics[0].counted.values():
        missing.update(level.left_out)
    table.attrs |= {
        "n": sum(int(level.repeats.sum()) for level in metrics[0].counted.values()),
        "n_rows": len(
            {row for level in metrics[0].counted.values() for row in level.rows.tolist()}
        ),
        "method": {m.metric.name: method_of(m.metric, has_clusters=bool(clusters)) for m in metrics}
        if has_intervals
        else f"means of row means; {StatsMissing()}",
        "missing": dict(missing),
    }
    if decision is not None and decision.metric in table.columns:
        _show_decision(table, decision, list(groups), names)
    return table


def _show_decision(
    table: pd.DataFrame, decision: Decision, groups: list[tuple[Any, ...]], names: list[str]
) -> None:
    """Replaces intervals that hold for one look by those of the decision, which hold at every look.

    Args:
        table: The summary.
        decision: What the session has decided.
        groups: The groups, in the table's order.
        names: The columns that define them.
    """
    metric = decision.metric
    for end in ("low", "high"):
        table[f"{metric}_{end}"] = math.nan
    doubt = f"{metric}: watched while it ran, so only its difference has an interval (s.decision)"
    table["uncertain"] = [f"{doubt}; {doubts}".removesuffix("; ") for doubts in table["uncertain"]]
    table.attrs["decision"] = str(decision)
    if names != [decision.factor]:
        return
    levels = {str(level.level): level for level in decision.levels}
    found = [levels.get(str(group[0])) for group in groups]
    nothing = math.nan
    for name in ("difference", "low", "high"):
        column = [nothing if level is None else getattr(level, name) for level in found]
        title = f"{metric}_difference" if name == "difference" else f"{metric}_difference_{name}"
        table[title] = pd.Series(column, index=table.index, dtype="float64")


def group_positions(results: pd.DataFrame, names: Sequence[str]) -> dict[Any, list[int]]:
    """The positions of the tasks of each group, the groups in the order of their values.

    Args:
        results: The table of results.
        names: The columns or index levels that define the groups.

    Returns:
        A tuple of values, one per name → the positions.
    """
    if not names:
        return {_ALL: list(range(len(results)))}
    columns = [_group_column(results, name) for name in names]
    numbers = pd.Series(range(len(results)))
    groups = numbers.groupby(columns, observed=True, dropna=False)
    return {key if isinstance(key, tuple) else (key,): group.tolist() for key, group in groups}


def _table(
    rows: list[dict[str, Any]], groups: list[tuple[Any, ...]], names: list[str]
) -> pd.DataFrame:
    if not names:
        return pd.DataFrame(rows)
    index = pd.MultiIndex.from_tuples(groups, names=names)
    table = pd.DataFrame(rows, index=index)
    return table if len(names) > 1 else table.set_axis(index.get_level_values(0))


def _group_names(by: str | Sequence[str] | None, factors: Sequence[str]) -> list[str]:
    if by is None:
        names = [factor for factor in factors if factor != REPEAT]
    else:
        names = list(by) if isinstance(by, Iterable) and not isinstance(by, str) else [by]
    return list(dict.fromkeys(names))


def _check_names(results: pd.DataFrame, names: Sequence[Any], where: str) -> None:
    levels = [name for name in results.index.names if name is not None]
    for name in names:
        if name not in results.columns and name not in levels:
            existing = ", ".join(map(str, [*results.columns, *levels]))
            raise InputError(f"the results have no column {name!r}; they have {existing}", where)


def _group_column(results: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """The values that distinguish the groups; their texts if they are such as lists."""
    is_column = name in results.columns
    values: Any = results[name] if is_column else results.index.get_level_values(name)
    column: pd.Series[Any] = pd.Series(values.array)
    if all(isinstance(value, Hashable) for value in column):
        return column
    return column.map(str, na_action="ignore")


def row_clusters(results: pd.DataFrame, facts: TaskFacts, name: Any) -> dict[int, Any]:
    """Row → its cluster.

    Args:
        results: The table of results.
        facts: The rows of its tasks.
        name: The column whose rows of one value resemble each other.

    Raises:
        InputError: If there is no such column, or a row has none or several.
    """
    _check_names(results, [name], "cluster")
    clusters: dict[int, Any] = {}
    for row, value in zip(facts.rows, _group_column(results, name).tolist(), strict=True):
        if pd.isna(value):
            raise InputError(f"a row has no {name!r}: fill it in, or leave it out", "cluster")
        if clusters.setdefault(row, value) != value:
            raise InputError(
                f"a row has both {clusters[row]!r} and {value!r}: take a column of the frame",
                "cluster",
            )
    return clusters


def _row(
    group: pd.DataFrame,
    key: tuple[Any, ...],
    metrics: Sequence[RowMetric],
    clusters: Mapping[int, Any] | None,
    *,
    has_intervals: bool,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "n": len(group),
        "n_ended": int(group["outcome"].notna().sum()),
        "n_rows": len(metrics[0].counted[key].rows),
    }
    doubts: dict[str, list[str]] = {}
    for metric, counted, succeeded in metrics:
        rows, successes = counted[key], succeeded[key]
        found = _estimate(metric, rows, clusters, has_intervals=has_intervals)
        name = metric.name
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        if clusters is not None:
            row[f"{name}_df"] = found.df
        if found.uncertain and len(rows.rows):
            doubts.setdefault(found.uncertain, []).append(name)
        if metric is _OK and rows.left_out.get(_NOT_NEEDED):
            doubts["ended by a better sibling, see s.pass_at_k()"] = [name]
        if metric is _OK:
            continue
        if metric.kind != SKEWED:
            row[f"{name}_sd"] = _sd(rows)
        without = _estimate(metric, successes, None, has_intervals=False)
        row[f"{name}_without_failures"] = without.value
        if depends_on_failures(found, without):
            doubts.setdefault("depends on failures", []).append(name)
    row["uncertain"] = "; ".join(f"{', '.join(names)}: {why}" for why, names in doubts.items())
    return row


def _estimate(
    metric: Metric,
    rows: LevelRows,
    clusters: Mapping[int, Any] | None,
    *,
    has_intervals: bool,
) -> Estimate:
    if has_intervals:
        return level_interval(metric, rows, clusters=clusters)
    nothing = math.nan
    with np.errstate(all="ignore"):  # infinite scores
        mean = float(rows.means.mean()) if len(rows.means) else nothing
    return Estimate(mean, nothing, nothing, len(rows.means), nothing, "")


def _sd(rows: LevelRows) -> float:
    """The standard deviation between rows."""
    if len(rows.means) < 2:
        return math.nan
    with np.errstate(all="ignore"):  # infinite scores
        return float(rows.means.std(ddof=1))
