"""Tables of the tasks of many sessions, from cached rows and from rows that are read now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames import filters, row_cache
from cpr_nb.frames.builder import TableBuilder, concat_tables
from cpr_nb.frames.columns import Column
from cpr_nb.frames.ended_tasks import read_ended_tasks
from cpr_nb.frames.row_cache import RowCache, RowLocations
from cpr_nb.frames.session_rows import SessionIndex, loads
from cpr_nb.frames.source_files import digest_files
from cpr_nb.frames.stream_cache import STREAM_CACHE
from cpr_nb.frames.streams import Problem, TaskSelection
from cpr_nb.frames.tasks import add_session, needs_streams, source_files, table_columns
from cpr_nb.model import states
from cpr_nb.store import cache_files
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.stream_list import list_streams


class GatheredTable(NamedTuple):
    """A table of many sessions.

    Args:
        table: The table.
        problems: What can't be read.
    """

    table: pd.DataFrame
    problems: list[Problem]


def gather(
    sessions: SessionIndex,
    name: str,
    task_states: frozenset[str] | None = None,
    *,
    full: bool = False,
    is_complete: bool = False,
) -> GatheredTable:
    """Makes a table of the tasks of sessions; sessions that have ended are read only once.

    Args:
        sessions: The sessions.
        name: Which table: a key of `TABLES`.
        task_states: Only tasks in these states or with these outcomes; None for all.
        full: Whether to return all columns.
        is_complete: Whether these are all sessions of the directory.
    """
    columns = table_columns(name, full=full)
    if task_states is not None and name != "tasks_df":
        add = partial(add_session, name=name, full=full)
        return gather_uncached(sessions, task_states, columns, add)
    kind = name + ("_full" if full else "")
    cache = RowCache(sessions.directory, kind, {column.name: column.dtype for column in columns})
    locations = cache.locate(sessions.names, sessions.signatures)
    reader = _TaskRowReader(sessions, name, columns, full=full)
    for number in np.flatnonzero(locations.source < 0).tolist():
        reader.read(number, locations)
    read_s, final_rows = reader.elapsed_s, reader.final_rows.frame()
    cache.save(reader.cache_entries(), final_rows, read_s, is_complete=is_complete)
    table = _assemble([*locations.tables, final_rows, reader.live_rows.frame()], locations)
    if task_states is not None:
        is_selected = table["state"].isin(task_states) | table["outcome"].isin(task_states)
        table = row_cache.select_rows(table, np.flatnonzero(is_selected))
    return GatheredTable(table, reader.problems)


def gather_uncached(
    sessions: SessionIndex,
    task_states: frozenset[str] | None,
    columns: list[Column],
    add: Callable[[TableBuilder, TaskSelection], None],
) -> GatheredTable:
    """Makes a table of some tasks or events: only their streams are read, and nothing is cached.

    Args:
        sessions: The sessions.
        task_states: Only tasks in these states or with these outcomes; None for all.
        columns: The columns of the table.
        add: Adds the rows of a session's tasks to a table.
    """
    builder, problems = TableBuilder(columns), list[Problem]()
    for folder in sessions.names:
        snapshot = _open(f"{sessions.directory}/{folder}", problems)
        if snapshot is not None:
            tasks = filters.filter_tasks(snapshot, task_states)
            streams = list_streams(snapshot.paths.root)
            add(builder, TaskSelection(snapshot, tasks, streams, problems))
    return GatheredTable(builder.frame(), problems)


def _open(root: str, problems: list[Problem]) -> Snapshot | None:
    """A session's snapshot; None if it is gone, or can't be read, which is a problem."""
    snapshot = read_session(root, loads=loads)
    if snapshot.state != states.UNREADABLE:
        return snapshot
    if Path(root).is_dir():  # not removed in the meantime
        problems.append(session_problem(snapshot))
    return None


def _assemble(tables: list[pd.DataFrame], locations: RowLocations) -> pd.DataFrame:
    """The rows of all sessions, in the order of the sessions."""
    has_rows = locations.n_rows > 0
    source, start = locations.source[has_rows], locations.start[has_rows]
    n_rows = locations.n_rows[has_rows]
    # Tables in the order of their first use: the rows are then mostly in order already.
    order = list(dict.fromkeys(source.tolist()))
    if not order:
        return tables[-1].iloc[:0]
    used = [tables[number] for number in order]
    offsets = np.zeros(len(tables), np.int64)
    offsets[order] = np.cumsum([0, *(len(table) for table in used[:-1])])
    row_numbers = row_cache.row_ranges(offsets[source] + start, n_rows)
    return row_cache.select_rows(concat_tables(used), row_numbers)


class _Entry(NamedTuple):
    """A session whose rows may be cached: the fields of `row_cache.CacheEntries`."""

    name: str
    signature: cache_files.Signature
    files: str
    digest: str
    weight_bytes: int
    start: int = 0
    n_rows: int = 0


class _TaskRowReader:
    """Reads the tasks of sessions.

    Args:
        sessions: The sessions.
        name: The table.
        columns: Its columns.
        full: Whether these are all columns.
    """

    def __init__(
        self, sessions: SessionIndex, name: str, columns: list[Column], *, full: bool
    ) -> None:
        self.final_rows, self.live_rows = TableBuilder(columns), TableBuilder(columns)
        self.entries: list[_Entry] = []
        self.problems: list[Problem] = []
        self._sessions = sessions
        self._name = name
        self._full = full
        self._signatures: list[cache_files.Signature]
        self._signatures = [(i, s, m, c) for i, s, m, c in sessions.signatures.tolist()]
        self._is_writable = os.access(sessions.directory, os.W_OK)
        self._started = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was created."""
        return time.perf_counter() - self._started

    def read(self, number: int, locations: RowLocations) -> None:
        """Reads a session, and notes where its rows are."""
        root = f"{self._sessions.directory}/{self._sessions.names[number]}"
        if self._name == "tasks_df" and not self._full and self._read_ended(number, locations):
            return
        folder_signature = cache_files.signatures_of([root])
        snapshot = _open(root, self.problems)
        if snapshot is None:
            locations.n_rows[number] = 0
            return
        streams = list_streams(root) if needs_streams(self._name, full=self._full) else {}
        tasks = filters.filter_tasks(snapshot, None)
        selection = TaskSelection(snapshot, tasks, streams, self.problems)
        entry = self._entry(number, selection, folder_signature)
        builder = self.live_rows if entry is None else self.final_rows
        if snapshot.is_live:
            selection = selection._replace(stream_cache=STREAM_CACHE)
        start, n_problems = builder.n_rows, len(self.problems)
        add_session(builder, selection, self._name, full=self._full)
        if len(self.problems) > n_problems:
            entry = None
        self._note(number, locations, builder, start, entry)

    def _read_ended(self, number: int, locations: RowLocations) -> bool:
        """Reads a session in the fast way; returns False if that is not possible."""
        folder, signature = self._sessions.names[number], self._signatures[number]
        root = f"{self._sessions.directory}/{folder}"
        tasks = None
        if signature != cache_files.ABSENT:
            tasks = read_ended_tasks(root, signature, loads)
        if tasks is None:
            return False
        entry = None
        if tasks.digest.settled and self._is_writable:
            entry = _Entry(folder, signature, tasks.files, tasks.digest.digest, tasks.n_bytes)
        start = self.final_rows.n_rows
        self.final_rows.add(tasks.columns, tasks.n_tasks, {})
        self._note(number, locations, self.final_rows, start, entry)
        return True

    def _note(
        self,
        number: int,
        locations: RowLocations,
        builder: TableBuilder,
        start: int,
        entry: _Entry | None,
    ) -> None:
        """Notes where the rows of a session are, and that they may be cached."""
        n_rows = builder.n_rows - start
        locations.source[number] = len(locations.tables) + (builder is self.live_rows)
        locations.start[number], locations.n_rows[number] = start, n_rows
        if entry is not None:
            self.entries.append(entry._replace(start=start, n_rows=n_rows))

    def cache_entries(self) -> row_cache.CacheEntries:
        """The sessions whose rows may be cached."""
        lists: list[Any] = [list(values) for values in zip(*self.entries, strict=True)]
        name, signature, others, digest, *numbers = lists or [[] for _ in _Entry._fields]
        weight, start, n_rows = (np.array(values, np.int64) for values in numbers)
        signatures = np.array(signature, np.int64).reshape(-1, len(cache_files.ABSENT))
        return row_cache.CacheEntries(name, signatures, others, digest, weight, start, n_rows)

    def _entry(
        self, number: int, selection: TaskSelection, folder_signature: list[cache_files.Signature]
    ) -> _Entry | None:
        """The cache entry of a session; None if its rows may still change."""
        snapshot = selection.snapshot
        if not self._is_writable or snapshot.stat is None:
            return None
        [status_signature] = cache_files.signatures([snapshot.stat])
        if status_signature != self._signatures[number]:
            return None  # it has not ended, or only just now
        names = source_files(self._name, selection, full=self._full)
        if any("/" in name or "\0" in name for name in names):  # ids of another program
            return None
        joined_names = "/".join(names)
        digest, settled, size_bytes = digest_files(snapshot.paths.root, joined_names)
        if not settled or cache_files.signatures_of([snapshot.paths.root]) != folder_signature:
            return None
        folder = self._sessions.names[number]
        weight_bytes = size_bytes + snapshot.stat.st_size
        return _Entry(folder, status_signature, joined_names, digest, weight_bytes)


def session_problem(snapshot: Snapshot) -> Problem:
    """Why a session can't be read."""
    reason = snapshot.problem or states.UNREADABLE
    return Problem(snapshot.session_id, None, snapshot.paths.root, reason)
