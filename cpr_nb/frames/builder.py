"""Tables built piece by piece: what is ready is packed, so that little waits as Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import array, concatenate, frame
from cpr_nb.frames.columns import Column

# When rows are packed: what they take as Python objects is small beside the whole.
_PIECE_ROWS = 16384
_PIECE_BYTES = 1 << 20


class TableBuilder:
    """A table that grows.

    Args:
        columns: Its columns.

    Example:
        >>> builder = TableBuilder([Column("n", "Int64", "a number"), Column("what", "string", "")])
        >>> builder.add({"n": [1, 2]}, 2, {"what": "so"})
        >>> builder.frame()["what"].tolist()
        ['so', 'so']
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._dtypes = {column.name: column.dtype for column in columns}
        self._pieces: list[dict[str, Any]] = []
        self._begin()
        self.n_rows = 0

    def _begin(self) -> None:
        self._lists: dict[str, list[Any]] = {name: [] for name in self._dtypes}
        self._n_rows, self._size_bytes = 0, 0
        self._in_runs: set[str] = set()  # columns that have a value for several rows
        self._runs: list[int] = []  # how many rows

    def add(
        self,
        lists: Mapping[str, list[Any]],
        n_rows: int,
        same: Mapping[str, Any],
        size_bytes: int = 0,
    ) -> None:
        """Adds rows by columns.

        Args:
            lists: The values of the rows, by column; always the same columns.
            n_rows: How many rows they are.
            same: What all these rows have in common, of the other columns.
            size_bytes: About how much they hold.
        """
        for name, values in self._lists.items():
            found = lists.get(name)
            if found is None:
                values.append(same.get(name))
                self._in_runs.add(name)
            else:
                values.extend(found)
        self._runs.append(n_rows)
        self._grown(n_rows, size_bytes)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows, such as those of a session; a builder gets all its rows so, or none."""
        found = list(rows)
        for name, values in self._lists.items():
            values += [row.get(name) for row in found]
        self._grown(len(found), 0)

    def _grown(self, n_rows: int, size_bytes: int) -> None:
        self.n_rows += n_rows
        self._n_rows += n_rows
        self._size_bytes += size_bytes
        if self._n_rows >= _PIECE_ROWS or self._size_bytes >= _PIECE_BYTES:
            self._pack()

    def _pack(self) -> None:
        runs = np.repeat(np.arange(len(self._runs)), self._runs)
        piece = {}
        for name, dtype in self._dtypes.items():
            made = array(self._lists.pop(name), dtype)
            piece[name] = made.take(runs) if name in self._in_runs else made
        self._pieces.append(piece)
        self._begin()

    def frame(self) -> pd.DataFrame:
        """The table so far; an empty one has the same dtypes."""
        if self._n_rows or not self._pieces:
            self._pack()
        names = self._dtypes
        made = {name: concatenate([piece[name] for piece in self._pieces]) for name in names}
        return frame(made)


def concat_tables(pieces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, with a new index."""
    if len(pieces) == 1:
        return pieces[0]
    return pd.concat(pieces, ignore_index=True)
