"""Rows of ended sessions, cached in the results directory so that the second read is cheap.

A cached row is used only while all files that it was made of are unchanged (status.json and the
others, by inode, size and times). Cache files have unique names and never change after they were
written, so several kernels can use them at the same time.
"""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import array, frame
from cpr_nb.frames.builder import concat_tables
from cpr_nb.frames.columnar_file import ColumnarFile, encode_tables, open_columnar_file
from cpr_nb.frames.columns import Column
from cpr_nb.frames.source_files import Integers, are_unchanged, signatures_of
from cpr_nb.store import cache_files
from cpr_nb.store.cache_files import ABSENT

#: Rows that were read faster than this are not worth caching.
MIN_READ_S = 0.05
#: A file covers about this much input. More becomes several files, so few sessions need few files.
PACK_BYTES = 64 << 20
#: Once there are this many small files they are merged.
MAX_SMALL = 8

_ENTRY_COLUMNS = (
    Column("name", "string", "the session's folder"),
    Column("inode", "Int64", "of its status.json"),
    Column("size_bytes", "Int64", "of its status.json"),
    Column("mtime_ns", "Int64", "of its status.json"),
    Column("ctime_ns", "Int64", "of its status.json"),
    Column("files", "string", "the other files that its rows were made from"),
    Column("digest", "string", "the signatures of these files"),
    Column("weight_bytes", "Int64", "how much was read"),
    Column("start", "Int64", "its first row"),
    Column("n_rows", "Int64", "how many rows it has"),
)
_SIGNATURE = [column.name for column in _ENTRY_COLUMNS[1:5]]
_DTYPES = {column.name: column.dtype for column in _ENTRY_COLUMNS}


class CacheEntries(NamedTuple):
    """Sessions whose rows may be cached; the fields are columns, ``signature`` is four."""

    name: list[str]
    signature: Integers
    files: list[str]
    digest: list[str]
    weight_bytes: Integers
    start: Integers
    n_rows: Integers

    def table(self) -> pd.DataFrame:
        """The entries as a table."""
        columns = {**self._asdict(), **dict(zip(_SIGNATURE, self.signature.T, strict=True))}
        return frame({name: _column(columns[name], dtype) for name, dtype in _DTYPES.items()})


def _column(values: list[str] | Integers, dtype: str) -> Any:
    if isinstance(values, list):
        return array(values, dtype)
    return pd.arrays.IntegerArray(values.astype(np.int64), np.zeros(len(values), bool))


class RowLocations(NamedTuple):
    """Where the rows of sessions are; each array has one number per session.

    Args:
        tables: The tables with the rows.
        source: The number of the table; -1 if the session is in none.
        start: The number of the first row.
        n_rows: How many rows the session has.
        signatures: The signature of its status.json, one row per session.
    """

    tables: list[pd.DataFrame]
    source: Integers
    start: Integers
    n_rows: Integers
    signatures: Integers


class _UsedFile(NamedTuple):
    """A cache file, with the entries of it that are valid."""

    name: str
    entries: pd.DataFrame
    rows: pd.DataFrame


class RowCache:
    """The cached rows of one table in one results directory.

    Args:
        directory: The results directory.
        kind: The table's name, and whether it is the full one.
        dtypes: The dtypes of its columns.
    """

    def __init__(self, directory: str, kind: str, dtypes: Mapping[str, str]) -> None:
        self._directory = directory
        self._dtypes = dtypes
        columns = ",".join(f"{name}:{dtype}" for name, dtype in dtypes.items())
        self._kind = f"{kind} {_code_checksum()} {columns}"
        self._file_prefix = f"{kind}-{zlib.crc32(self._kind.encode()):08x}-"
        self._used: list[_UsedFile] = []

    # -- reading ----------------------------------------------------------------------------

    def locate(self, names: Sequence[str], signatures: Integers | None = None) -> RowLocations:
        """Finds the cached rows of sessions.

        Args:
            names: The folders of the sessions.
            signatures: The current signature of each status.json, one row per session; `ABSENT`
                where the file may still change. Without them they are read from the disk.
        """
        numbers = {name: number for number, name in enumerate(names)}
        source, start, n_rows = (np.full(len(names), -1, np.int64) for _ in range(3))
        no_signatures = np.zeros((len(names), len(ABSENT)), np.int64)
        locations = RowLocations([], source, start, n_rows, no_signatures)
        for name in cache_files.names(self._directory, self._file_prefix):
            file = cache_files.open_own(self._directory, name)
            if file is None:
                continue
            with file:
                try:
                    opened = open_columnar_file(file, self._kind)
                    self._locate_in(name, opened, numbers, signatures, locations)
                except (OSError, ValueError, KeyError):
                    cache_files.remove(self._directory, name)  # torn, or foreign
        return locations

    def _locate_in(
        self,
        file: str,
        opened: ColumnarFile,
        numbers: Mapping[str, int],
        signatures: Integers | None,
        locations: RowLocations,
    ) -> None:
        """Adds the rows that one file has."""
        entries = opened.read("index")
        names = entries["name"].tolist()
        sessions = np.fromiter(map(numbers.get, names, repeat(-1)), np.int64, len(names))
        valid = np.flatnonzero(sessions >= 0)
        valid = valid[locations.source[sessions[valid]] < 0]  # the others are in another file
        cached = entries[_SIGNATURE].to_numpy("int64")[valid]
        if signatures is None:
            current = self._current_signatures(names, valid)
        else:
            current = signatures[sessions[valid]]
        unchanged = (cached == current).all(axis=1)
        unchanged[unchanged] = self._have_unchanged_files(entries, valid[unchanged])
        valid, sessions = valid[unchanged], sessions[valid[unchanged]]
        if not len(valid):
            self._used.append(_UsedFile(file, entries.iloc[:0], entries.iloc[:0]))
            return
        rows = opened.read("rows")
        locations.source[sessions] = len(locations.tables)
        locations.start[sessions] = entries["start"].to_numpy("int64")[valid]
        locations.n_rows[sessions] = entries["n_rows"].to_numpy("int64")[valid]
        locations.signatures[sessions] = cached[unchanged]
        locations.tables.append(rows)
        self._used.append(_UsedFile(file, select_rows(entries, valid), rows))

    def _current_signatures(self, names: Sequence[str], entries: Integers) -> Integers:
        """The signatures of the status.json of these sessions."""
        paths = [f"{self._directory}/{names[entry]}/status.json" for entry in entries.tolist()]
        return signatures_of(paths)

    def _have_unchanged_files(self, entries: pd.DataFrame, chosen: Integers) -> Any:
        """Whether the other files that the rows were made of are unchanged, for each entry."""
        if (entries["files"] == "").all():
            return True
        columns = [entries[name].tolist() for name in ("name", "files", "digest")]
        return are_unchanged(
            self._directory, *([column[n] for n in chosen.tolist()] for column in columns)
        )

    # -- writing ----------------------------------------------------------------------------

    def save(
        self, entries: CacheEntries, rows: pd.DataFrame, read_s: float, *, is_complete: bool
    ) -> None:
        """Caches the rows of sessions if reading them was expensive.

        Args:
            entries: The sessions.
            rows: The table with their rows.
            read_s: How long it took to read them, in seconds.
            is_complete: Whether `locate` was called with all sessions of the directory. Files
                without a valid entry are useless then, and are removed.
        """
        if is_complete:
            self._remove_useless()
        if not entries.name or read_s < MIN_READ_S:
            return
        small = self._small_files()
        parts = [(used.entries, used.rows) for used in small]
        table, rows = _merge([*parts, (entries.table(), rows)])
        saved = [self._save(*_merge([(part, rows)])) for part in _divide(table)]
        if all(saved):
            for used in small:
                cache_files.remove(self._directory, used.name)

    def _small_files(self) -> list[_UsedFile]:
        """The files that are to be merged."""
        small = [u for u in self._used if 0 < u.entries["weight_bytes"].sum() < PACK_BYTES // 2]
        return small if len(small) >= MAX_SMALL else []

    def _remove_useless(self) -> None:
        """Removes files without a valid entry, and old ones that other code has left."""
        for used in self._used:
            if not len(used.entries):
                cache_files.remove(self._directory, used.name)
        cache_files.remove_old(self._directory, f"{self._kind.split()[0]}-", self._file_prefix)

    def _save(self, entries: pd.DataFrame, rows: pd.DataFrame) -> bool:
        tables = {"index": (entries, _DTYPES), "rows": (rows, self._dtypes)}
        name = f"{self._file_prefix}{uuid.uuid4().hex[:12]}"
        buffers = (buffer.data for buffer in encode_tables(self._kind, tables))
        return cache_files.save(self._directory, name, buffers)


def _divide(entries: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Divides sessions into parts of about `PACK_BYTES`."""
    if len(entries):
        total = entries["weight_bytes"].to_numpy("int64").cumsum()
        yield from (part for _, part in entries.groupby((total - 1).clip(0) // PACK_BYTES))


def _merge(
    parts: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Concatenates sessions and their rows, without the rows of other sessions."""
    entries, tables, n_rows = [], [], 0
    for part_entries, part_rows in parts:
        counts = part_entries["n_rows"].to_numpy("int64")
        new_starts = n_rows + counts.cumsum() - counts
        old_starts = part_entries["start"].to_numpy("int64")
        tables.append(select_rows(part_rows, row_ranges(old_starts, counts)))
        entries.append(part_entries.assign(start=pd.array(new_starts, dtype="Int64")))
        n_rows += int(counts.sum())
    return concat_tables(entries), concat_tables(tables)


def row_ranges(start: Integers, n_rows: Integers) -> Integers:
    """The row numbers of ranges, one range after the other.

    Example:
        >>> row_ranges(np.array([5, 0]), np.array([2, 1])).tolist()
        [5, 6, 0]
    """
    shifts: Any = start - (n_rows.cumsum() - n_rows)
    numbers: Integers = np.repeat(shifts, n_rows) + np.arange(int(n_rows.sum()))
    return numbers


def select_rows(rows: pd.DataFrame, numbers: Integers) -> pd.DataFrame:
    """Selects rows by number, without a copy if they are all rows or consecutive ones."""
    if not len(numbers):
        return rows.iloc[:0]
    first = int(numbers[0])
    if (np.diff(numbers) == 1).all():
        part = rows.iloc[first : first + len(numbers)]
        return part if len(part) == len(rows) else part.reset_index(drop=True)
    return rows.take(numbers).reset_index(drop=True)


@cache
def _code_checksum() -> str:
    """The checksum of the code that makes rows: other code may make other rows of a file."""
    crc, package = 0, Path(__file__).parents[1]
    try:
        for folder in ("frames", "model", "store", "views"):
            for path in sorted((package / folder).rglob("*.py")):
                crc = zlib.crc32(path.read_bytes(), crc)
    except OSError:  # such as a package in a zip file
        return os.urandom(8).hex()
    return f"{crc:08x}"
