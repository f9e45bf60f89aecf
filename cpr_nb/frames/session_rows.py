"""The sessions of a results directory, the newest first, as the rows of `sessions_df`."""

from __future__ import annotations

import json
import os
import time
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from cpr_nb.frames import row_cache
from cpr_nb.frames.arrays import array, frame, series
from cpr_nb.frames.builder import TableBuilder, concat_tables
from cpr_nb.frames.columns import Column
from cpr_nb.frames.row_cache import Integers, RowCache, RowLocations
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import states
from cpr_nb.store import cache_files as files
from cpr_nb.store.cache_files import ABSENT
from cpr_nb.store.catalog import session_names
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import head_bytes, read_session
from cpr_nb.views.rows import session_row

# By these the sessions are ordered and chosen; nobody sees them.
START, CREATED = "_start_s", "_created"
_HIDDEN = (
    Column(START, "Int64", "whole seconds, as claude-parallel-runner.pl knows them"),
    Column(CREATED, "string", "as status.json says it"),
)
_PATH = "path"  # not kept: a results directory may move
_RUNNER = "runner.json"
_FAR_S = 1e15  # of no use as a time
_WEIGHT = 1024  # of a session, in bytes; its head is no longer


class SessionIndex(NamedTuple):
    """The sessions, the newest first.

    Args:
        directory: The results directory.
        names: Their folders' names.
        rows: Their rows in `sessions_df`, and the hidden columns.
        signatures: Of the status.json of each, a row a session; `ABSENT` where it may change.
        unreadable: Why those can't be read that can't.
    """

    directory: str
    names: list[str]
    rows: pd.DataFrame
    signatures: Integers
    unreadable: dict[str, str]

    def taken(self, numbers: Integers) -> SessionIndex:
        """Some of them, in this order."""
        if len(numbers) == len(self.names) and (np.diff(numbers) == 1).all():
            return self
        return self._replace(
            names=[self.names[number] for number in numbers.tolist()],
            rows=row_cache.select_rows(self.rows, numbers),
            signatures=self.signatures[numbers],
        )


def loads(data: bytes) -> Any:
    """JSON, fast; what only the standard library reads (NaN, half a surrogate pair), too."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return json.loads(data)


def index_columns(*, full: bool) -> list[Column]:
    """The columns of the rows."""
    table = TABLES["sessions_df"].columns
    return [*(column for column in table if full or column.default), *_HIDDEN]


def read_session_index(directory: str, *, full: bool = False) -> SessionIndex:
    """Reads the sessions of a results directory, those that have ended only once.

    Args:
        directory: The results directory; one that is not there has no sessions.
        full: Whether all columns are wanted.

    Raises:
        ResultsDirError: If it can't be read.
    """
    mine = index_columns(full=full)
    dtypes = {column.name: column.dtype for column in mine if column.name != _PATH}
    kept = RowCache(directory, "sessions_full" if full else "sessions", dtypes)
    names = list(session_names(directory))
    found = kept.find(names)
    fresh = _SessionReader(directory, mine, full=full)
    fresh.read([(n, names[n]) for n in np.flatnonzero(found.source < 0).tolist()])
    took_s, new = fresh.took_s, fresh.frame()
    rows, order = _order_rows(found, fresh.numbers, new, names)
    names = [names[number] for number in order.tolist()]
    if full:
        paths = series([f"{directory}/{name}" for name in names], "string")
        rows = rows.assign(**{_PATH: paths})[[column.name for column in mine]]
    signatures = fresh.signatures()
    found.signatures[fresh.numbers] = signatures
    kept.save(fresh.index(order, signatures), new, took_s, everything=True)
    return SessionIndex(directory, names, rows, found.signatures[order], fresh.unreadable)


class _SessionReader:
    """Sessions that are read now.

    Args:
        directory: The results directory.
        columns: The columns of the rows.
        full: Whether they are all.
    """

    def __init__(self, directory: str, columns: list[Column], *, full: bool) -> None:
        self.numbers: list[int] = []
        self.unreadable: dict[str, str] = {}
        self._columns = columns
        self._directory = directory
        self._full = full
        self._names: list[str] = []
        self._stats: list[os.stat_result | None] = []  # None if it may change
        self._digests: list[str] = []
        self._usual: list[_Head] = []
        self._odd = TableBuilder(columns)
        self._began = time.perf_counter()
        self._settled_ns = files.settled_before_ns(files.now_ns())

    def read(self, sessions: list[tuple[int, str]]) -> None:
        """Reads sessions, of which the numbers and the folders are given."""
        others = []
        for number, name in [] if self._full else sessions:
            read = head_bytes(f"{self._directory}/{name}/status.json")
            head = _decode_head(read[0]) if read is not None else None
            if head is None or read is None:
                others.append((number, name))
                continue
            self._usual.append(head)
            self._stats.append(read[1])
            self.numbers.append(number)
            self._names.append(name)
        self._digests = [""] * len(self.numbers)
        for number, name in sessions if self._full else others:
            self._read_odd(number, name)

    def _read_odd(self, number: int, name: str) -> None:
        root = f"{self._directory}/{name}"
        digest, settled, _ = row_cache.digest_files(root, _RUNNER) if self._full else ("", True, 0)
        snapshot = read_session(root, tasks=False, loads=loads)
        row = session_row(snapshot, full=self._full)
        row[START] = int(max(-_FAR_S, min(_FAR_S, snapshot.count("start_time"))))
        row[CREATED] = str(snapshot.head.get("created_at") or "")
        self._odd.add_rows([row])
        if snapshot.state == states.UNREADABLE:
            # A head alone does not tell the reason.
            self.unreadable[name] = snapshot.problem or read_session(root).problem
        ended = snapshot.state in states.ENDED_STATES and settled
        self._stats.append(snapshot.stat if ended else None)
        self._digests.append(digest)
        self.numbers.append(number)
        self._names.append(name)

    @property
    def took_s(self) -> float:
        """How long it took so far."""
        return time.perf_counter() - self._began

    def frame(self) -> pd.DataFrame:
        """The rows, in the order of the numbers."""
        odd = self._odd.frame()
        if not self._usual:
            return odd
        lists = _head_columns(self._names[: len(self._usual)], self._usual)
        usual = frame({c.name: array(lists[c.name], c.dtype) for c in self._columns})
        return concat_tables([usual, odd]) if len(odd) else usual

    def signatures(self) -> Integers:
        """Those of the status.json of each; `ABSENT` where it may still change."""
        known = [stat for stat in self._stats if stat is not None]
        made = np.zeros((len(self._stats), len(ABSENT)), np.int64)
        there = [stat is not None for stat in self._stats]
        made[there] = np.array(files.signatures(known), np.int64).reshape(-1, len(ABSENT))
        made[made[:, 2] >= self._settled_ns] = ABSENT
        return made

    def index(self, order: Integers, signatures: Integers) -> row_cache.CacheEntries:
        """Those that may be kept, in this order of all sessions."""
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        rows = np.flatnonzero(signatures.any(axis=1))
        rows = rows[np.argsort(place[np.array(self.numbers, np.int64)[rows]])]
        at = rows.tolist()
        return row_cache.CacheEntries(
            name=[self._names[row] for row in at],
            signature=signatures[rows],
            files=[_RUNNER if self._full else ""] * len(at),
            digest=[self._digests[row] for row in at],
            weight_bytes=np.full(len(at), _WEIGHT),
            start=rows,
            n_rows=np.ones(len(at), np.int64),
        )


class _Head(msgspec.Struct, gc=False):
    """The head of a session of ours: what `session_row` takes of one that has ended."""

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


_HEAD_DECODER = msgspec.json.Decoder(_Head)


def _decode_head(data: bytes) -> _Head | None:
    """A head of a session of ours that has ended, if it is made as they all are."""
    try:
        head = _HEAD_DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    start_s = head.start_time if type(head.start_time) is int else 0
    usual = head.overall_status in states.ENDED_STATES and head.created_at
    return head if usual and 0 <= head.duration_s < _FAR_S > abs(start_s) else None


def _head_columns(names: list[str], heads: list[_Head]) -> dict[str, list[Any]]:
    """The columns of `session_row` of such sessions."""
    lists: dict[str, list[Any]] = {
        "session_id": [name[len(SESSION_PREFIX) :] for name in names],
        "name": [head.name for head in heads],
        "state": [head.overall_status for head in heads],
        "created_at": [head.created_at for head in heads],
        "duration_s": [head.duration_s for head in heads],
        "n_tasks": [head.total for head in heads],
        "n_pending": [head.n_pending for head in heads],
        "n_running": [head.n_running for head in heads],
        "n_succeeded": [head.n_succeeded for head in heads],
        "n_failed": [head.n_failed for head in heads],
        "n_denials": [head.n_denials for head in heads],
        "cost_usd": [head.cost_usd for head in heads],
        START: [head.start_time for head in heads],
        CREATED: [head.created_at for head in heads],
    }
    for name in (START, *(name for name in lists if name.startswith("n_"))):
        # What is no count is 0, as `Snapshot.count` has it.
        lists[name] = [value if type(value) is int else 0 for value in lists[name]]
    return lists


def _order_rows(
    found: RowLocations, numbers: list[int], new: pd.DataFrame, names: list[str]
) -> tuple[pd.DataFrame, Integers]:
    """The rows of all sessions, the newest first, and the numbers of the sessions."""
    found.source[numbers] = len(found.tables)
    found.start[numbers] = range(len(numbers))
    tables = [*found.tables, new]
    rows = concat_tables([table for table in tables if len(table)] or [new])
    first = np.cumsum([0, *(len(table) for table in tables)])
    at = first[found.source] + found.start
    order = _newest_first(rows, at, names)
    return row_cache.select_rows(rows, at[order]), order


def _newest_first(rows: pd.DataFrame, at: Integers, names: list[str]) -> Integers:
    """The newest first, as `catalog.list_sessions` has them."""
    starts = rows[START].to_numpy("int64", na_value=0)[at]
    if len(np.unique(starts)) == len(starts):
        return np.argsort(-starts)
    created = rows[CREATED].fillna("").tolist()
    keys = list(zip(starts.tolist(), [created[row] for row in at], names, strict=True))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__, reverse=True), np.int64)
