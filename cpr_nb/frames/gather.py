"""Tables of the tasks of many sessions: rows that are kept, and rows that are read now."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames import filters, row_cache
from cpr_nb.frames.builder import TableBuilder, concat_tables
from cpr_nb.frames.columns import Column
from cpr_nb.frames.row_cache import RowCache, RowLocations
from cpr_nb.frames.session_rows import SessionIndex, loads
from cpr_nb.frames.stream_cache import STREAM_CACHE
from cpr_nb.frames.streams import Problem, TaskSelection, list_streams
from cpr_nb.frames.tasks import add_session, needs_streams, source_files, table_columns
from cpr_nb.model import states
from cpr_nb.store import cache_files as files
from cpr_nb.store.read import Snapshot, read_session


class GatheredTable(NamedTuple):
    """A table of many sessions.

    Args:
        table: The table.
        problems: What can't be read.
    """

    table: pd.DataFrame
    problems: list[Problem]


def gather(
    heads: SessionIndex,
    name: str,
    wanted: frozenset[str] | None = None,
    *,
    full: bool = False,
    everything: bool = False,
) -> GatheredTable:
    """Makes a table of the tasks of sessions; those that have ended are read only once.

    Args:
        heads: The sessions.
        name: Which table: a key of `TABLES`.
        wanted: Only tasks in these states or with these outcomes; None for all.
        full: Whether all columns are wanted.
        everything: Whether these are all sessions of the directory.
    """
    columns = table_columns(name, full=full)
    if wanted is not None and name != "tasks_df":
        return _gather_selected(heads, name, wanted, columns, full=full)
    kind = name + ("_full" if full else "")
    kept = RowCache(heads.directory, kind, {column.name: column.dtype for column in columns})
    found = kept.find(heads.names, heads.signatures)
    reader = _TaskRowReader(heads, name, columns, full=full)
    for number in np.flatnonzero(found.source < 0).tolist():
        reader.read(number, found)
    took_s, new = reader.took_s, reader.lasting.frame()
    kept.save(reader.index(), new, took_s, everything=everything)
    tables = [*found.tables, new, reader.passing.frame()]
    table = _assemble(tables, found)
    if wanted is not None:
        fits = table["state"].isin(wanted) | table["outcome"].isin(wanted)
        table = row_cache.select_rows(table, np.flatnonzero(fits))
    return GatheredTable(table, reader.problems)


def _gather_selected(
    heads: SessionIndex, name: str, wanted: frozenset[str], columns: list[Column], *, full: bool
) -> GatheredTable:
    """A table of some tasks: only their streams are read, and nothing is kept."""
    reader = _TaskRowReader(heads, name, columns, full=full)
    for folder in heads.names:
        snapshot = reader.open(f"{heads.directory}/{folder}")
        if snapshot is not None:
            tasks = filters.filter_tasks(snapshot, wanted)
            view = TaskSelection(
                snapshot, tasks, list_streams(snapshot.paths.root), reader.problems
            )
            add_session(reader.passing, name, view, full=full)
    return GatheredTable(reader.passing.frame(), reader.problems)


def _assemble(tables: list[pd.DataFrame], found: RowLocations) -> pd.DataFrame:
    """The rows of all sessions, in the order of the sessions."""
    there = found.n_rows > 0
    source, start, n_rows = found.source[there], found.start[there], found.n_rows[there]
    # Those that are needed first come first: then there is mostly nothing to put in order.
    order = list(dict.fromkeys(source.tolist()))
    if not order:
        return tables[-1].iloc[:0]
    used = [tables[number] for number in order]
    first = np.zeros(len(tables), np.int64)
    first[order] = np.cumsum([0, *(len(table) for table in used[:-1])])
    return row_cache.select_rows(
        concat_tables(used), row_cache.row_ranges(first[source] + start, n_rows)
    )


class _Entry(NamedTuple):
    """A session whose rows may be kept: the fields of `cache.Index`."""

    name: str
    signature: files.Signature
    files: str
    digest: str
    weight_bytes: int
    start: int = 0
    n_rows: int = 0


class _TaskRowReader:
    """Reads the tasks of sessions.

    Args:
        heads: The sessions.
        name: The table.
        columns: Its columns.
        full: Whether they are all.
    """

    def __init__(
        self, heads: SessionIndex, name: str, columns: list[Column], *, full: bool
    ) -> None:
        self.lasting, self.passing = TableBuilder(columns), TableBuilder(columns)
        self.entries: list[_Entry] = []
        self.problems: list[Problem] = []
        self._heads = heads
        self._name = name
        self._full = full
        self._may_keep = os.access(heads.directory, os.W_OK)
        self._began = time.perf_counter()

    @property
    def took_s(self) -> float:
        """How long it took so far."""
        return time.perf_counter() - self._began

    def open(self, root: str) -> Snapshot | None:
        """A session's snapshot; None if it can't be read, which is a problem if it is there."""
        snapshot = read_session(root, loads=loads)
        if snapshot.state != states.UNREADABLE:
            return snapshot
        if Path(root).is_dir():  # not removed since
            self.problems.append(unreadable(snapshot))
        return None

    def read(self, number: int, found: RowLocations) -> None:
        """Reads a session, and notes where its rows are."""
        folder = self._heads.names[number]
        root = f"{self._heads.directory}/{folder}"
        before = files.signatures_of([root])
        snapshot = self.open(root)
        if snapshot is None:
            found.n_rows[number] = 0
            return
        streams = list_streams(root) if needs_streams(self._name, full=self._full) else {}
        view = TaskSelection(snapshot, filters.filter_tasks(snapshot, None), streams, self.problems)
        entry = self._entry(number, view, before)
        builder = self.passing if entry is None else self.lasting
        if snapshot.is_live:
            view = view._replace(growing=STREAM_CACHE)
        start, n_problems = builder.n_rows, len(self.problems)
        add_session(builder, self._name, view, full=self._full)
        n_rows = builder.n_rows - start
        found.source[number] = len(found.tables) + (entry is None)
        found.start[number], found.n_rows[number] = start, n_rows
        if entry is not None and len(self.problems) == n_problems:
            self.entries.append(entry._replace(start=start, n_rows=n_rows))

    def index(self) -> row_cache.CacheEntries:
        """The sessions whose rows may be kept."""
        lists: list[Any] = [list(values) for values in zip(*self.entries, strict=True)]
        name, signature, others, digest, *numbers = lists or [[] for _ in _Entry._fields]
        weight, start, n_rows = (np.array(values, np.int64) for values in numbers)
        signatures = np.array(signature, np.int64).reshape(-1, len(files.ABSENT))
        return row_cache.CacheEntries(name, signatures, others, digest, weight, start, n_rows)

    def _entry(
        self, number: int, view: TaskSelection, before: list[files.Signature]
    ) -> _Entry | None:
        """What to note of a session so that its rows may be kept; None if they may change."""
        stat = view.snapshot.stat
        if not self._may_keep or stat is None:
            return None
        [status] = files.signatures([stat])
        if status != tuple(self._heads.signatures[number].tolist()):
            return None  # it has not ended, or not long ago
        names = source_files(self._name, view, full=self._full)
        if any("/" in name or "\0" in name for name in names):  # a stranger's ids
            return None
        together = "/".join(names)
        digest, settled, size = row_cache.digest_files(view.snapshot.paths.root, together)
        if not settled or files.signatures_of([view.snapshot.paths.root]) != before:
            return None
        folder = self._heads.names[number]
        return _Entry(folder, status, together, digest, size + stat.st_size)


def unreadable(snapshot: Snapshot) -> Problem:
    """Why a session can't be read."""
    why = snapshot.problem or states.UNREADABLE
    return Problem(snapshot.session_id, None, snapshot.paths.root, why)
