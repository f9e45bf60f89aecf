"""Tables built piece by piece: few rows exist as Python objects at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import array, concatenate, frame
from cpr_nb.frames.columns import Column

# Rows are packed at this size: as Python objects they are then small beside the table.
_PIECE_ROWS = 16384
_PIECE_BYTES = 1 << 20


class TableBuilder:
    """A table that grows.

    Args:
        columns: Its columns.

    Example:
        >>> builder = TableBuilder([Column("n", "Int64", "a number"), Column("word", "string", "")])
        >>> builder.add({"n": [1, 2]}, 2, {"word": "yes"})
        >>> builder.frame()["word"].tolist()
        ['yes', 'yes']
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._dtypes = {column.name: column.dtype for column in columns}
        self._pieces: list[dict[str, Any]] = []
        self._start_piece()
        self.n_rows = 0

    def _start_piece(self) -> None:
        self._lists: dict[str, list[Any]] = {name: [] for name in self._dtypes}
        self._n_rows, self._size_bytes = 0, 0
        self._in_runs: set[str] = set()  # columns with one value per run of rows
        self._runs: list[int] = []  # their lengths

    def add(
        self,
        lists: Mapping[str, list[Any]],
        n_rows: int,
        constants: Mapping[str, Any],
        size_bytes: int = 0,
    ) -> None:
        """Adds rows, given by column.

        Args:
            lists: The values of the rows, by column; always the same columns.
            n_rows: The number of rows.
            constants: The values of the other columns, which all these rows share.
            size_bytes: The approximate size of the rows.
        """
        for name, values in self._lists.items():
            new_values = lists.get(name)
            if new_values is None:
                values.append(constants.get(name))
                self._in_runs.add(name)
            else:
                values.extend(new_values)
        self._runs.append(n_rows)
        self._count(n_rows, size_bytes)

    def add_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows as mappings. A builder gets all its rows by `add_rows`, or all by `add`."""
        row_list = list(rows)
        for name, values in self._lists.items():
            values += [row.get(name) for row in row_list]
        self._count(len(row_list), 0)

    def _count(self, n_rows: int, size_bytes: int) -> None:
        self.n_rows += n_rows
        self._n_rows += n_rows
        self._size_bytes += size_bytes
        if self._n_rows >= _PIECE_ROWS or self._size_bytes >= _PIECE_BYTES:
            self._pack()

    def _pack(self) -> None:
        runs = np.repeat(np.arange(len(self._runs)), self._runs)
        piece = {}
        for name, dtype in self._dtypes.items():
            values = array(self._lists.pop(name), dtype)
            piece[name] = values.take(runs) if name in self._in_runs else values
        self._pieces.append(piece)
        self._start_piece()

    def frame(self) -> pd.DataFrame:
        """The table so far; an empty one has the same dtypes."""
        if self._n_rows or not self._pieces:
            self._pack()
        pieces = self._pieces
        return frame({n: concatenate([piece[n] for piece in pieces]) for n in self._dtypes})


def concat_tables(pieces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenates the rows of tables, with a new index."""
    if len(pieces) == 1:
        return pieces[0]
    return pd.concat(pieces, ignore_index=True)
