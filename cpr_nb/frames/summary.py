"""Groups of results beside each other: shares and means with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from statistics import NormalDist
from typing import Any

import pandas as pd

from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import REPEAT

#: The level of all confidence intervals.
CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def summarize(
    results: pd.DataFrame,
    by: str | Sequence[str] | None,
    factors: Sequence[str],
    score: str | None,
) -> pd.DataFrame:
    """Makes one row per group; see `Session.summary`.

    Args:
        results: The table of results.
        by: The columns that define the groups; None for the factors.
        factors: The names of the factors.
        score: The name of the score's column, if there is one.
    """
    names = _group_names(by, factors)
    _check_names(results, names)
    if not names:
        return pd.DataFrame([_row(results, score)])
    columns = [_group_column(results, name) for name in names]
    groups = results.reset_index(drop=True).groupby(columns, observed=True, dropna=False)
    rows = {key if isinstance(key, tuple) else (key,): _row(group, score) for key, group in groups}
    index = pd.MultiIndex.from_tuples(list(rows), names=names)
    table = pd.DataFrame(list(rows.values()), index=index)
    return table if len(names) > 1 else table.set_axis(index.get_level_values(0))


def _group_names(by: str | Sequence[str] | None, factors: Sequence[str]) -> list[str]:
    if by is None:
        names = [factor for factor in factors if factor != REPEAT]
    else:
        names = list(by) if isinstance(by, Iterable) and not isinstance(by, str) else [by]
    return list(dict.fromkeys(names))


def _check_names(results: pd.DataFrame, names: Sequence[str]) -> None:
    levels = [name for name in results.index.names if name is not None]
    for name in names:
        if name not in results.columns and name not in levels:
            existing = ", ".join(map(str, [*results.columns, *levels]))
            raise InputError(f"the results have no column {name!r}; they have {existing}", "by")


def _group_column(results: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """The values that distinguish the groups; their texts if they are such as lists."""
    is_column = name in results.columns
    values: Any = results[name] if is_column else results.index.get_level_values(name)
    column: pd.Series[Any] = pd.Series(values.array)
    if all(isinstance(value, Hashable) for value in column):
        return column
    return column.map(str, na_action="ignore")


def _row(group: pd.DataFrame, score: str | None) -> dict[str, Any]:
    ended = group[group["outcome"].notna()]
    n_ok = int(ended["ok"].sum())
    low, high = wilson(n_ok, len(ended))
    row: dict[str, Any] = {
        "n": len(group),
        "n_ended": len(ended),
        "ok": n_ok / len(ended) if len(ended) else math.nan,
        "ok_low": low,
        "ok_high": high,
    }
    if score is not None:
        values = _numbers(ended[score])
        row |= _mean(score, values)
        row[f"{score}_sd"] = _sd(values)
    return (
        row
        | _mean("cost_usd", _numbers(ended["cost_usd"]), least=0.0)
        | _mean("duration_s", _numbers(ended["duration_s"]), least=0.0)
    )


def _numbers(column: pd.Series[Any]) -> list[float]:
    if column.dtype.kind in "mMc":
        return []  # pandas would convert times to counts
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    return [float(value) for value in numbers]


def _mean(name: str, values: Sequence[float], least: float = -math.inf) -> dict[str, float]:
    if not values:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    mean = _sum(values) / len(values)
    if len(values) == 1:
        return {name: mean, f"{name}_low": math.nan, f"{name}_high": math.nan}
    half = t_quantile(len(values) - 1) * _sd(values) / math.sqrt(len(values))
    return {name: mean, f"{name}_low": max(least, mean - half), f"{name}_high": mean + half}


def _sd(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = _sum(values) / len(values)
    squares = [(value - mean) * (value - mean) for value in values]
    return math.sqrt(_sum(squares) / (len(values) - 1))


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # infinite values
        return sum(values)


def wilson(n_good: int, n: int) -> tuple[float, float]:
    """The confidence interval of a share (Wilson's score interval, good for small numbers too).

    Example:
        >>> low, high = wilson(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if not n:
        return math.nan, math.nan
    share, z2 = n_good / n, _Z * _Z / n
    centre = (share + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * math.sqrt(share * (1 - share) / n + z2 / (4 * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def t_quantile(n_free: int) -> float:
    """How many standard errors a mean's confidence interval reaches to each side (Student's t).

    Exact for 1 and 2 degrees of freedom, else Hill's algorithm (Communications of the ACM 13,
    1970, number 396), good to 5 digits.

    Args:
        n_free: The degrees of freedom, at least 1.

    Example:
        >>> [round(t_quantile(n), 3) for n in (1, 2, 3, 10, 100)]
        [12.706, 4.303, 3.182, 2.228, 1.984]
    """
    p = 1 - CONFIDENCE
    if n_free == 1:
        return 1 / math.tan(p * math.pi / 2)
    if n_free == 2:
        return math.sqrt(2 / (p * (2 - p)) - 2)
    n = float(n_free)
    a = 1 / (n - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    x = d * p
    y = x ** (2 / n)
    if y > 0.05 + a:
        x = -_Z
        y = x * x
        if n < 5:
            c += 0.3 * (n - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = a * y * y
        y = math.expm1(y)
    else:
        y = (
            (1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1
        ) * (n + 1) / (n + 2) + 1 / y
    return math.sqrt(n * y)
