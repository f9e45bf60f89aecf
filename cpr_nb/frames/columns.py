"""Tables declared as data: a column's name, dtype, and what it means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.model import states

#: What a function that makes a table returns; named here, for only this package knows pandas.
DataFrame = pd.DataFrame

#: The attribute of a table that says in which results directory its sessions are.
PLACE = "cpr_results_dir"
TIME = "datetime64[us, UTC]"
#: The ordered categories: the words of `cpr_nb.model.states`, in their order.
CATEGORIES = {
    "session state": states.SESSION_STATES,
    "task state": states.TASK_STATES,
    "outcome": states.OUTCOMES,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Column(NamedTuple):
    """One column.

    Args:
        name: Its name; units are in it (``_bytes``, ``_s``, ``_usd``, ``_tokens``).
        dtype: Its pandas dtype, the same in an empty table as in a full one; or a name of
            `CATEGORIES`.
        doc: What it means.
        source: Where it comes from.
        default: Whether it is there without ``full=True``.
    """

    name: str
    dtype: str
    doc: str
    source: str = ""
    default: bool = True


WORKTREES = (
    Column("session_id", "string", "the session"),
    Column("task_id", "string", "the task"),
    Column("branch", "string", "its branch"),
    Column("path", "string", "its worktree; missing if it has been removed"),
    Column("size_bytes", "Int64", "what the worktree takes on the disk"),
    Column("dirty", "boolean", "whether it has changes that are not committed"),
    Column("ahead", "Int64", "commits that the target does not have"),
    Column("behind", "Int64", "commits of the target that it does not have"),
    Column("merged", "boolean", "whether the target has all of it"),
    Column("into", "string", "the target"),
)
CONFLICTS = (
    Column("branch", "string", "a branch"),
    Column("other", "string", "another branch, or the target"),
    Column("other_is_target", "boolean", "whether that is the target"),
    Column("n_files", "Int64", "in how many files"),
    Column("files", "object", "which files"),
)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Makes a table; what a row lacks, or what can't be of the column's dtype, is missing.

    Args:
        rows: The rows.
        columns: The columns, in order.

    Returns:
        The table; an empty one has the same dtypes.

    Example:
        >>> table([], WORKTREES).dtypes["size_bytes"].name
        'Int64'
        >>> int(table([{"size_bytes": "much"}], WORKTREES)["size_bytes"].isna().sum())
        1
    """
    found = list(rows)
    made = {
        column.name: series([row.get(column.name) for row in found], column.dtype)
        for column in columns
    }
    return pd.DataFrame(made)


def series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """Makes a column of a dtype, or of `CATEGORIES`; what can't be of it is missing."""
    if dtype == "object":
        return pd.Series(values, dtype="object")
    if dtype == TIME:
        moments = np.array([_microseconds(value) for value in values], dtype="datetime64[us]")
        return pd.Series(moments).dt.tz_localize("UTC")
    if dtype in CATEGORIES:
        known = [v if isinstance(v, str) and v in CATEGORIES[dtype] else None for v in values]
        return pd.Series(pd.Categorical(known, categories=CATEGORIES[dtype], ordered=True))
    read = _READERS[dtype]
    return pd.Series([read(value) for value in values], dtype=dtype)


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _microseconds(value: object) -> int | np.datetime64:
    """Microseconds since the epoch of an ISO 8601 time; without a zone it is in UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            pass
    return np.datetime64("NaT", "us")


_READERS: dict[str, Callable[[object], Any]] = {
    "string": _text,
    "Int64": _integer,
    "Float64": _float,
    "boolean": _boolean,
}
