"""Tables built piece by piece: what is ready is packed, so that little waits as Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from cpr_nb.frames.cells import series
from cpr_nb.frames.columns import Column

# When rows are packed: what they take as Python objects is small beside the whole.
_PIECE_ROWS = 16384
_PIECE_BYTES = 4 << 20


class Builder:
    """A table that grows.

    Args:
        columns: Its columns.

    Example:
        >>> builder = Builder([Column("n", "Int64", "a number"), Column("what", "string", "")])
        >>> builder.add({"n": [1, 2]}, 2, {"what": "so"})
        >>> builder.frame()["what"].tolist()
        ['so', 'so']
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._pieces: list[pd.DataFrame] = []
        self._begin()
        self.n_rows = 0

    def _begin(self) -> None:
        self._lists: dict[str, list[Any]] = {column.name: [] for column in self._columns}
        self._n_rows, self._size_bytes = 0, 0

    def add(
        self,
        lists: Mapping[str, list[Any]],
        n_rows: int,
        same: Mapping[str, Any],
        size_bytes: int = 0,
    ) -> None:
        """Adds rows by columns.

        Args:
            lists: The values of the rows, by column; a column that is not there is missing.
            n_rows: How many rows they are.
            same: What all these rows have in common.
            size_bytes: About how much they hold.
        """
        for name, values in self._lists.items():
            found = lists.get(name)
            values.extend([same.get(name)] * n_rows if found is None else found)
        self._grown(n_rows, size_bytes)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows one by one."""
        for row in rows:
            for name, values in self._lists.items():
                values.append(row.get(name))
            self._grown(1, 0)

    def _grown(self, n_rows: int, size_bytes: int) -> None:
        self.n_rows += n_rows
        self._n_rows += n_rows
        self._size_bytes += size_bytes
        if self._n_rows >= _PIECE_ROWS or self._size_bytes >= _PIECE_BYTES:
            self._pack()

    def _pack(self) -> None:
        made = {c.name: series(self._lists.pop(c.name), c.dtype) for c in self._columns}
        self._pieces.append(pd.DataFrame(made, copy=False))
        self._begin()

    def frame(self) -> pd.DataFrame:
        """The table so far; an empty one has the same dtypes."""
        if self._n_rows or not self._pieces:
            self._pack()
        return joined(self._pieces)


def joined(pieces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, with a new index."""
    if len(pieces) == 1:
        return pieces[0]
    return pd.concat(pieces, ignore_index=True)
