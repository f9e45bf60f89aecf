"""Rows of ended sessions, kept in a results directory so that a second look is cheap.

A row is taken from there only while everything that it was made of is as it was: status.json
and the other files, by inode, size and times. Files are written once, under names of their own,
and never changed: several kernels at once are in nobody's way.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import array, frame
from cpr_nb.frames.builder import concat_tables
from cpr_nb.frames.columnar_file import Pack, open_pack, pack
from cpr_nb.frames.columns import Column
from cpr_nb.store import cache_files as files
from cpr_nb.store.cache_files import ABSENT

Integers = np.ndarray[Any, np.dtype[np.int64]]

#: What was read faster than this is not worth keeping.
MIN_READ_S = 0.05
#: A file is of about so much that was read; more become several: a look at few reads few.
PACK_BYTES = 64 << 20
#: When there are more small files than this they become one.
MAX_SMALL = 8

_ENTRY_COLUMNS = (
    Column("name", "string", "the session's folder"),
    Column("inode", "Int64", "of its status.json"),
    Column("size_bytes", "Int64", "of its status.json"),
    Column("mtime_ns", "Int64", "of its status.json"),
    Column("ctime_ns", "Int64", "of its status.json"),
    Column("files", "string", "what else its rows were made of"),
    Column("digest", "string", "the signatures of these files"),
    Column("weight_bytes", "Int64", "how much was read"),
    Column("start", "Int64", "its first row"),
    Column("n_rows", "Int64", "how many rows it has"),
)
_SIGNATURE = [column.name for column in _ENTRY_COLUMNS[1:5]]
_DTYPES = {column.name: column.dtype for column in _ENTRY_COLUMNS}


class CacheEntries(NamedTuple):
    """Sessions whose rows may be kept; the fields are columns, ``signature`` is four."""

    name: list[str]
    signature: Integers
    files: list[str]
    digest: list[str]
    weight_bytes: Integers
    start: Integers
    n_rows: Integers

    def table(self) -> pd.DataFrame:
        """The same as a table."""
        columns = {**self._asdict(), **dict(zip(_SIGNATURE, self.signature.T, strict=True))}
        return frame({name: _column(columns[name], dtype) for name, dtype in _DTYPES.items()})


def _column(values: list[str] | Integers, dtype: str) -> Any:
    if isinstance(values, list):
        return array(values, dtype)
    return pd.arrays.IntegerArray(values.astype(np.int64), np.zeros(len(values), bool))


class RowLocations(NamedTuple):
    """Where the rows of sessions are: a number a session.

    Args:
        tables: The tables with the rows.
        source: The number of the table; -1 if its rows are not there.
        start: The first row there.
        n_rows: How many.
        signatures: Of its status.json, a row a session.
    """

    tables: list[pd.DataFrame]
    source: Integers
    start: Integers
    n_rows: Integers
    signatures: Integers


class _UsedFile(NamedTuple):
    """A file, and what was taken of it."""

    name: str
    entries: pd.DataFrame
    rows: pd.DataFrame


class RowCache:
    """What is kept of one table in one results directory.

    Args:
        directory: The results directory.
        kind: The table's name, and whether it is the full one.
        dtypes: The dtypes of its columns.
    """

    def __init__(self, directory: str, kind: str, dtypes: Mapping[str, str]) -> None:
        self._directory = directory
        self._dtypes = dtypes
        self._kind = f"{kind} {_code_checksum()} {','.join(f'{n}:{d}' for n, d in dtypes.items())}"
        self._begin = f"{kind}-{zlib.crc32(self._kind.encode()):08x}-"
        self._used: list[_UsedFile] = []

    # -- finding ----------------------------------------------------------------------------

    def find(self, names: Sequence[str], signatures: Integers | None = None) -> RowLocations:
        """Finds the rows of sessions.

        Args:
            names: The folders of the sessions.
            signatures: Of their status.json now, a row a session, `ABSENT` where it may still
                change; if they are not given they are looked up.
        """
        numbers = {name: number for number, name in enumerate(names)}
        source, start, n_rows = (np.full(len(names), -1, np.int64) for _ in range(3))
        found = RowLocations(
            [], source, start, n_rows, np.zeros((len(names), len(ABSENT)), np.int64)
        )
        for name in files.names(self._directory, self._begin):
            file = files.open_own(self._directory, name)
            if file is None:
                continue
            with file:
                try:
                    self._find(name, open_pack(file, self._kind), numbers, signatures, found)
                except (OSError, ValueError, KeyError):
                    files.remove(self._directory, name)  # torn, or foreign
        return found

    def _find(
        self,
        file: str,
        opened: Pack,
        numbers: Mapping[str, int],
        signatures: Integers | None,
        found: RowLocations,
    ) -> None:
        """Finds what one file has."""
        index = opened.read("index")
        names = index["name"].tolist()
        at = np.array([numbers.get(name, -1) for name in names], dtype=np.int64)
        good = np.flatnonzero(at >= 0)
        good = good[found.source[at[good]] < 0]  # else another file had it
        told = index[_SIGNATURE].to_numpy("int64")[good]
        now = self._now(names, good) if signatures is None else signatures[at[good]]
        same = (told == now).all(axis=1)
        same[same] = self._as_they_were(index, good[same])
        good, at = good[same], at[good[same]]
        if not len(good):
            self._used.append(_UsedFile(file, index.iloc[:0], index.iloc[:0]))
            return
        rows = opened.read("rows")
        found.source[at] = len(found.tables)
        found.start[at] = index["start"].to_numpy("int64")[good]
        found.n_rows[at] = index["n_rows"].to_numpy("int64")[good]
        found.signatures[at] = told[same]
        found.tables.append(rows)
        self._used.append(_UsedFile(file, select_rows(index, good), rows))

    def _now(self, names: Sequence[str], wanted: Integers) -> Integers:
        """The signatures of the status.json of these sessions."""
        paths = [f"{self._directory}/{names[row]}/status.json" for row in wanted.tolist()]
        return np.array(files.signatures_of(paths), np.int64).reshape(-1, len(ABSENT))

    def _as_they_were(self, index: pd.DataFrame, wanted: Integers) -> Any:
        """Whether what else their rows were made of is as it was."""
        if (index["files"] == "").all():
            return True
        told = [index[name].tolist() for name in ("name", "files", "digest")]
        names, others, digests = ([each[row] for row in wanted.tolist()] for each in told)
        return [
            not other or digest_files(f"{self._directory}/{name}", other)[0] == digest
            for name, other, digest in zip(names, others, digests, strict=True)
        ]

    # -- keeping ----------------------------------------------------------------------------

    def save(
        self, index: CacheEntries, rows: pd.DataFrame, took_s: float, *, everything: bool
    ) -> None:
        """Keeps the rows of sessions, if they were worth it.

        Args:
            index: The sessions.
            rows: The table with their rows.
            took_s: How long it took to read them.
            everything: Whether all sessions of the directory were looked for: then what was not
                found is of no use any more.
        """
        if everything:
            self._tidy()
        if not index.name or took_s < MIN_READ_S:
            return
        fresh = index.table()
        small = [u for u in self._used if 0 < u.entries["weight_bytes"].sum() < PACK_BYTES // 2]
        if len(small) < MAX_SMALL:
            small = []
        fresh, rows = _merge([*((used.entries, used.rows) for used in small), (fresh, rows)])
        saved = [self._save(*_merge([(part, rows)])) for part in _divide(fresh)]
        if all(saved):
            for used in small:
                files.remove(self._directory, used.name)

    def _tidy(self) -> None:
        """Removes what was of no use, and what older code has left long ago."""
        for used in self._used:
            if not len(used.entries):
                files.remove(self._directory, used.name)
        files.remove_old(self._directory, f"{self._kind.split()[0]}-", self._begin)

    def _save(self, index: pd.DataFrame, rows: pd.DataFrame) -> bool:
        tables = {"index": (index, _DTYPES), "rows": (rows, self._dtypes)}
        name = f"{self._begin}{uuid.uuid4().hex[:12]}"
        buffers = (buffer.data for buffer in pack(self._kind, tables))
        return files.save(self._directory, name, buffers)


def _divide(index: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The sessions in parts of about `PACK_BYTES`."""
    if len(index):
        total = index["weight_bytes"].to_numpy("int64").cumsum()
        yield from (part for _, part in index.groupby((total - 1).clip(0) // PACK_BYTES))


def _merge(
    parts: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sessions and their rows, one after the other, and no others."""
    indexes, tables, n_rows = [], [], 0
    for index, rows in parts:
        mine = index["n_rows"].to_numpy("int64")
        starts = mine.cumsum() - mine
        tables.append(select_rows(rows, row_ranges(index["start"].to_numpy("int64"), mine)))
        indexes.append(index.assign(start=pd.array(starts + n_rows, dtype="Int64")))
        n_rows += int(mine.sum())
    return concat_tables(indexes), concat_tables(tables)


def row_ranges(start: Integers, n_rows: Integers) -> Integers:
    """The numbers of rows that begin there and are so many, one range after the other.

    Example:
        >>> ranges(np.array([5, 0]), np.array([2, 1])).tolist()
        [5, 6, 0]
    """
    shifts: Any = start - (n_rows.cumsum() - n_rows)
    made: Integers = np.repeat(shifts, n_rows) + np.arange(int(n_rows.sum()))
    return made


def select_rows(rows: pd.DataFrame, numbers: Integers) -> pd.DataFrame:
    """These rows; nothing is copied if they are all, or follow each other."""
    if not len(numbers):
        return rows.iloc[:0]
    first = int(numbers[0])
    if (np.diff(numbers) == 1).all():
        part = rows.iloc[first : first + len(numbers)]
        return part if len(part) == len(rows) else part.reset_index(drop=True)
    return rows.take(numbers).reset_index(drop=True)


def digest_files(root: str, names: str) -> tuple[str, bool, int]:
    """Looks at files of a session.

    Args:
        root: The session's folder.
        names: Their names, ``/`` between them; ``.`` is the folder itself.

    Returns:
        A digest of their signatures, whether a later change of any of them will show, and how
        much they hold in bytes.
    """
    settled_ns = files.settled_before_ns(files.now_ns())
    found = files.signatures_of([f"{root}/{name}" for name in names.split("/")])
    packed = struct.pack(f"<{4 * len(found)}q", *chain.from_iterable(found))
    settled = all(each[2] < settled_ns for each in found)
    size = sum(each[1] for each in found)
    return hashlib.blake2b(packed, digest_size=16).hexdigest(), settled, size


@cache
def _code_checksum() -> str:
    """The code that makes the rows: what other code made of the same files may differ."""
    crc, package = 0, Path(__file__).parents[1]
    try:
        for folder in ("frames", "model", "store", "views"):
            for path in sorted((package / folder).rglob("*.py")):
                crc = zlib.crc32(path.read_bytes(), crc)
    except OSError:  # such as a package in a zip file
        return os.urandom(8).hex()
    return f"{crc:08x}"
