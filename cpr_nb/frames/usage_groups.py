"""Usage in groups: by day, project, model and the like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import TIME, Column, table
from cpr_nb.model.errors import InputError

FIGURES = (
    Column("input_tokens", "Int64", "input tokens, without those of the prompt cache"),
    Column("output_tokens", "Int64", "output tokens"),
    Column("cache_read_tokens", "Int64", "tokens that were read from the prompt cache"),
    Column("cache_write_tokens", "Int64", "tokens that were written to the prompt cache"),
    Column("cost_usd", "Float64", "US dollars; missing if no cost is known"),
)
_UNKNOWN = "n_unknown_costs"
DAY = "day"


def parse_by(by: str | Iterable[str], groups: Mapping[str, str]) -> list[str]:
    """The groups that are asked for.

    Args:
        by: One group, or several.
        groups: Name of a group → the column that has it.

    Raises:
        InputError: If there is no such group, or none is named.
    """
    names = [by] if isinstance(by, str) else list(by)
    unknown = [name for name in names if name not in groups]
    if unknown or not names or len(set(names)) < len(names):
        known = ", ".join(groups)
        what = f"no group {unknown[0]!r}" if unknown else "name each group once, and at least one"
        raise InputError(f"{what}: the groups are {known}", "by")
    return names


def group_usage(rows: pd.DataFrame, by: Iterable[str], groups: Mapping[str, str]) -> pd.DataFrame:
    """Sums usage by groups, in their order.

    Args:
        rows: The usage, with the columns of `FIGURES` and of the groups. ``day`` needs ``at``.
        by: The groups, from `parse_by`.
        groups: Name of a group → the column that has it.

    Returns:
        A row per group that occurs. A figure is missing if it is unknown in the whole group;
        ``n_unknown_costs`` says how many rows lack a cost.

    Example:
        >>> usage = table([{"output_tokens": 1}, {"output_tokens": 2, "cost_usd": 1.0}], FIGURES)
        >>> group_usage(usage.assign(model="opus"), ["model"], {"model": "model"}).values.tolist()
        [['opus', <NA>, 3, <NA>, <NA>, 1.0, 1]]
    """
    names = list(by)
    keys = {name: _group(rows, name, groups[name]) for name in names}
    figures = {column.name: rows[column.name] for column in FIGURES}
    is_unknown = rows["cost_usd"].isna().astype("Int64")
    whole = pd.DataFrame({**keys, **figures, _UNKNOWN: is_unknown}, copy=False)
    if not len(whole):
        dtypes = [Column(n, TIME if n == DAY else "string", "") for n in names]
        return table([], [*dtypes, *FIGURES, Column(_UNKNOWN, "Int64", "")])
    grouped = whole.groupby(names, sort=True, dropna=False, as_index=False, observed=True)
    sums: pd.DataFrame = grouped.sum(min_count=1)
    sums[_UNKNOWN] = sums[_UNKNOWN].mask(sums[_UNKNOWN] == 0)
    return sums


def _group(rows: pd.DataFrame, name: str, column: str) -> Any:
    """The values of a group; days begin at midnight in UTC, as all times of tables are."""
    return rows["at"].dt.floor("D") if name == DAY else rows[column]
