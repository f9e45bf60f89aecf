"""The sessions of a results directory, the newest first, as the rows of `sessions_df`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from cpr_nb.frames import row_cache
from cpr_nb.frames.arrays import array, frame, series
from cpr_nb.frames.builder import TableBuilder, concat_tables
from cpr_nb.frames.columns import Column
from cpr_nb.frames.row_cache import RowCache, RowLocations
from cpr_nb.frames.source_files import Integers, digest_files
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import states
from cpr_nb.store import cache_files
from cpr_nb.store.authorship import Marks
from cpr_nb.store.cache_files import ABSENT
from cpr_nb.store.catalog import session_names
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import head_bytes, read_session
from cpr_nb.views.rows import session_row

# The sessions are ordered and filtered by these; they are not part of the table.
START, CREATED = "_start_s", "_created"
# What tells whether it is foreign, which depends on the user who reads, so it is not cached.
MARK, _FOREIGN = "_mark", "foreign"
_HIDDEN = (
    Column(START, "Int64", "whole seconds, as claude-parallel-runner.pl writes them"),
    Column(CREATED, "string", "as in status.json"),
    Column(MARK, "string", "as in status.json; empty if it has none, missing in a legacy session"),
)
_PATH = "path"  # not cached: a results directory may move
_RUNNER = "runner.json"
_MAX_TIME_S = 1e15  # a larger number is no time
_WEIGHT_BYTES = 1024  # of a session in the cache; its head is no longer


class SessionIndex(NamedTuple):
    """The sessions of a results directory, the newest first.

    Args:
        directory: The results directory.
        names: The names of their folders.
        rows: Their rows in `sessions_df`, with the hidden columns.
        signatures: The signature of the status.json of each, one row per session; `ABSENT`
            where the file may still change.
        unreadable: Folder → why the session can't be read.
    """

    directory: str
    names: list[str]
    rows: pd.DataFrame
    signatures: Integers
    unreadable: dict[str, str]

    def select(self, numbers: Integers) -> SessionIndex:
        """Returns the sessions with these numbers, in this order."""
        if len(numbers) == len(self.names) and (np.diff(numbers) == 1).all():
            return self
        return self._replace(
            names=[self.names[number] for number in numbers.tolist()],
            rows=row_cache.select_rows(self.rows, numbers),
            signatures=self.signatures[numbers],
        )

    def are_foreign(self, marks: Marks) -> pd.Series[Any]:
        """Whether each session is foreign; see `cpr_nb.store.authorship.Marks`."""
        ids = [name[len(SESSION_PREFIX) :] for name in self.names]
        found = [None if mark is pd.NA else mark for mark in self.rows[MARK].tolist()]
        return series(marks.are_foreign(found, ids), "boolean")


def loads(data: bytes) -> Any:
    """Parses JSON fast, including what only the standard library reads (NaN, lone surrogates)."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return json.loads(data)


def index_columns(*, full: bool) -> list[Column]:
    """The columns of the rows."""
    columns = TABLES["sessions_df"].columns
    columns = tuple(column for column in columns if column.name != _FOREIGN)
    return [*(column for column in columns if full or column.default), *_HIDDEN]


def read_session_index(directory: str, *, full: bool = False) -> SessionIndex:
    """Reads the sessions of a results directory; those that have ended are read only once.

    Args:
        directory: The results directory; a missing one has no sessions.
        full: Whether to return all columns.

    Raises:
        ResultsDirError: If it can't be read.
    """
    columns = index_columns(full=full)
    dtypes = {column.name: column.dtype for column in columns if column.name != _PATH}
    cache = RowCache(directory, "sessions_full" if full else "sessions", dtypes)
    names = list(session_names(directory))
    locations = cache.locate(names)
    reader = _SessionReader(directory, columns, full=full)
    reader.read([(n, names[n]) for n in np.flatnonzero(locations.source < 0).tolist()])
    read_s, new_rows = reader.elapsed_s, reader.frame()
    rows, order = _order_rows(locations, reader.numbers, new_rows, names)
    names = [names[number] for number in order.tolist()]
    if full:
        paths = series([f"{directory}/{name}" for name in names], "string")
        rows = rows.assign(**{_PATH: paths})[[column.name for column in columns]]
    signatures = reader.signatures()
    locations.signatures[reader.numbers] = signatures
    cache.save(reader.cache_entries(order, signatures), new_rows, read_s, is_complete=True)
    return SessionIndex(directory, names, rows, locations.signatures[order], reader.unreadable)


def _mark(head: Mapping[str, Any]) -> str:
    found = head.get("mark")
    return found if isinstance(found, str) else ""


class _SessionReader:
    """Reads the sessions that are not in the cache.

    Args:
        directory: The results directory.
        columns: The columns of the rows.
        full: Whether these are all columns.

    Attributes:
        numbers: The numbers of the sessions that were read, in the order of their rows.
        unreadable: Folder → why the session can't be read.
    """

    def __init__(self, directory: str, columns: list[Column], *, full: bool) -> None:
        self.numbers: list[int] = []
        self.unreadable: dict[str, str] = {}
        self._columns = columns
        self._directory = directory
        self._full = full
        self._names: list[str] = []
        self._stats: list[os.stat_result | None] = []  # None if the file may change
        self._digests: list[str] = []
        self._heads: list[_Head] = []
        self._odd = TableBuilder(columns)
        self._started = time.perf_counter()
        self._settled_ns = cache_files.settled_before_ns(cache_files.now_ns())

    def read(self, sessions: list[tuple[int, str]]) -> None:
        """Reads sessions, given by number and folder."""
        odd_sessions = sessions if self._full else self._read_heads(sessions)
        self._digests = [""] * len(self.numbers)
        for number, name in odd_sessions:
            self._read_odd(number, name)

    def _read_heads(self, sessions: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Reads the usual heads, which is fast, and returns the other sessions."""
        odd_sessions = []
        for number, name in sessions:
            data_and_stat = head_bytes(f"{self._directory}/{name}/status.json")
            head = _decode_head(data_and_stat[0]) if data_and_stat is not None else None
            if head is None or data_and_stat is None:
                odd_sessions.append((number, name))
                continue
            self._heads.append(head)
            self._stats.append(data_and_stat[1])
            self.numbers.append(number)
            self._names.append(name)
        return odd_sessions

    def _read_odd(self, number: int, name: str) -> None:
        """Reads a session of any form, live or ended."""
        root = f"{self._directory}/{name}"
        digest, settled, _ = digest_files(root, _RUNNER) if self._full else ("", True, 0)
        snapshot = read_session(root, tasks=False, loads=loads)
        row = session_row(snapshot, full=self._full)
        row[START] = int(max(-_MAX_TIME_S, min(_MAX_TIME_S, snapshot.count("start_time"))))
        row[CREATED] = str(snapshot.head.get("created_at") or "")
        row[MARK] = None if "schema_version" not in snapshot.head else _mark(snapshot.head)
        self._odd.add_rows([row])
        if snapshot.state == states.UNREADABLE:
            # The head alone may not show the reason.
            self.unreadable[name] = snapshot.problem or read_session(root).problem
        is_final = snapshot.state in states.ENDED_STATES and settled
        self._stats.append(snapshot.stat if is_final else None)
        self._digests.append(digest)
        self.numbers.append(number)
        self._names.append(name)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was created."""
        return time.perf_counter() - self._started

    def frame(self) -> pd.DataFrame:
        """The rows, in the order of `numbers`."""
        odd_rows = self._odd.frame()
        if not self._heads:
            return odd_rows
        values = _head_columns(self._names[: len(self._heads)], self._heads)
        rows = frame({c.name: array(values[c.name], c.dtype) for c in self._columns})
        return concat_tables([rows, odd_rows]) if len(odd_rows) else rows

    def signatures(self) -> Integers:
        """The signature of each status.json; `ABSENT` where the file may still change."""
        is_final = [stat is not None for stat in self._stats]
        stats = [stat for stat in self._stats if stat is not None]
        signatures = np.zeros((len(self._stats), len(ABSENT)), np.int64)
        signatures[is_final] = np.array(cache_files.signatures(stats), np.int64).reshape(
            -1, len(ABSENT)
        )
        signatures[signatures[:, 2] >= self._settled_ns] = ABSENT
        return signatures

    def cache_entries(self, order: Integers, signatures: Integers) -> row_cache.CacheEntries:
        """The sessions that may be cached, in this order of all sessions."""
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        rows = np.flatnonzero(signatures.any(axis=1))
        rows = rows[np.argsort(rank[np.array(self.numbers, np.int64)[rows]])]
        row_list = rows.tolist()
        return row_cache.CacheEntries(
            name=[self._names[row] for row in row_list],
            signature=signatures[rows],
            files=[_RUNNER if self._full else ""] * len(row_list),
            digest=[self._digests[row] for row in row_list],
            weight_bytes=np.full(len(row_list), _WEIGHT_BYTES),
            start=rows,
            n_rows=np.ones(len(row_list), np.int64),
        )


# -- usual heads ------------------------------------------------------------------------------


class _Head(msgspec.Struct, gc=False):
    """The usual head of an ended session: the fields that `session_row` reads."""

    schema_version: Any
    overall_status: Any
    created_at: str
    duration_s: float
    start_time: Any = None
    name: Any = None
    total: Any = None
    n_pending: Any = None
    n_running: Any = None
    n_succeeded: Any = None
    n_failed: Any = None
    n_denials: Any = None
    cost_usd: Any = None
    mark: Any = None


_HEAD_DECODER = msgspec.json.Decoder(_Head)
# Column → field of the head.
_FIELDS = {
    "name": "name",
    "state": "overall_status",
    "created_at": "created_at",
    "duration_s": "duration_s",
    "cost_usd": "cost_usd",
    CREATED: "created_at",
}
# The same for counts.
_COUNTS = {
    "n_tasks": "total",
    "n_pending": "n_pending",
    "n_running": "n_running",
    "n_succeeded": "n_succeeded",
    "n_failed": "n_failed",
    "n_denials": "n_denials",
    START: "start_time",
}


def _decode_head(data: bytes) -> _Head | None:
    """Decodes the head of an ended session; None if it does not have the usual form."""
    try:
        head = _HEAD_DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if head.overall_status not in states.ENDED_STATES or not head.created_at:
        return None
    start_s = head.start_time if type(head.start_time) is int else 0
    has_usual_times = 0 <= head.duration_s < _MAX_TIME_S > abs(start_s)
    return head if has_usual_times else None


def _head_columns(names: list[str], heads: list[_Head]) -> dict[str, list[Any]]:
    """The columns that `session_row` has for such sessions."""
    columns: dict[str, list[Any]] = {"session_id": [name[len(SESSION_PREFIX) :] for name in names]}
    for column, field in _FIELDS.items():
        columns[column] = list(map(attrgetter(field), heads))
    for column, field in _COUNTS.items():
        values = map(attrgetter(field), heads)
        # A value that is no count is 0, as in `Snapshot.count`.
        columns[column] = [value if type(value) is int else 0 for value in values]
    columns[MARK] = [head.mark if isinstance(head.mark, str) else "" for head in heads]
    return columns


# -- order ------------------------------------------------------------------------------------


def _order_rows(
    locations: RowLocations, numbers: list[int], new_rows: pd.DataFrame, names: list[str]
) -> tuple[pd.DataFrame, Integers]:
    """The rows of all sessions, the newest first, and the numbers of the sessions."""
    locations.source[numbers] = len(locations.tables)
    locations.start[numbers] = range(len(numbers))
    tables = [*locations.tables, new_rows]
    rows = concat_tables([table for table in tables if len(table)] or [new_rows])
    offsets = np.cumsum([0, *(len(table) for table in tables)])
    row_numbers = offsets[locations.source] + locations.start
    order = _newest_first(rows, row_numbers, names)
    return row_cache.select_rows(rows, row_numbers[order]), order


def _newest_first(rows: pd.DataFrame, row_numbers: Integers, names: list[str]) -> Integers:
    """The order of `catalog.list_sessions`."""
    starts = rows[START].to_numpy("int64", na_value=0)[row_numbers]
    if len(np.unique(starts)) == len(starts):
        return np.argsort(-starts)
    created = rows[CREATED].fillna("").tolist()
    keys = list(zip(starts.tolist(), [created[row] for row in row_numbers], names, strict=True))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__, reverse=True), np.int64)
