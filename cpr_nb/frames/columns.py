"""The parts of tables: a column (its name, dtype and meaning), and a DataFrame made from rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from cpr_nb.frames.arrays import CATEGORIES, TIME, array, frame, series

__all__ = ["CATEGORIES", "RESULTS_DIR_ATTR", "TIME", "Column", "DataFrame", "series", "table"]

#: The type of every table; named here because only this package imports pandas.
DataFrame = pd.DataFrame

#: The attribute of a table with the results directory of its sessions.
RESULTS_DIR_ATTR = "cpr_results_dir"


class Column(NamedTuple):
    """One column.

    Args:
        name: Its name; units are in it (``_bytes``, ``_s``, ``_usd``, ``_tokens``).
        dtype: Its pandas dtype, the same in an empty table as in a full one; or a name of
            `CATEGORIES`.
        doc: Its meaning.
        source: The file that it comes from.
        default: Whether the table has it without ``full=True``.
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
    Column("size_bytes", "Int64", "disk space of the worktree"),
    Column("dirty", "boolean", "whether it has uncommitted changes"),
    Column("ahead", "Int64", "commits that the target does not have"),
    Column("behind", "Int64", "commits of the target that it does not have"),
    Column("merged", "boolean", "whether the target contains all of it"),
    Column("into", "string", "the target"),
    Column("not_seen", "string", "why git was not run for it, such as foreign; missing if it was"),
)
CONFLICTS = (
    Column("branch", "string", "a branch"),
    Column("other", "string", "another branch, or the target"),
    Column("other_is_target", "boolean", "whether the other one is the target"),
    Column("n_files", "Int64", "number of files in conflict"),
    Column("files", "object", "the files in conflict"),
)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Makes a table. A value that a row lacks, or that does not fit the dtype, is missing.

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
    row_list = list(rows)
    return frame(
        {
            column.name: array([row.get(column.name) for row in row_list], column.dtype)
            for column in columns
        }
    )
