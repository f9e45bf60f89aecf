"""The sessions of a results directory, the newest first, as the rows of `sessions_df`."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from cpr_nb.frames import cache
from cpr_nb.frames.build import Builder, joined
from cpr_nb.frames.cache import Cache, Entry, Found, Integers
from cpr_nb.frames.columns import Column, series
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import states
from cpr_nb.store import cache as files
from cpr_nb.store.cache import ABSENT, Signature
from cpr_nb.store.catalog import session_names
from cpr_nb.store.read import read_session
from cpr_nb.store.rows import session_row

# By these the sessions are ordered and chosen; nobody sees them.
START, CREATED = "_start_s", "_created"
_HIDDEN = (
    Column(START, "Int64", "whole seconds, as the seed knows them"),
    Column(CREATED, "string", "as status.json says it"),
)
_PATH = "path"  # not kept: a results directory may move
_RUNNER = "runner.json"
_WEIGHT = 1024  # of a session, in bytes; its head is no longer


class Heads(NamedTuple):
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

    def taken(self, numbers: Integers) -> Heads:
        """Some of them, in this order."""
        if len(numbers) == len(self.names) and (np.diff(numbers) == 1).all():
            return self
        return self._replace(
            names=[self.names[number] for number in numbers.tolist()],
            rows=cache.taken(self.rows, numbers),
            signatures=self.signatures[numbers],
        )


def loads(data: bytes) -> Any:
    """JSON, fast; what only the standard library reads (NaN, half a surrogate pair), too."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return json.loads(data)


def columns(*, full: bool) -> list[Column]:
    """The columns of the rows."""
    table = TABLES["sessions_df"].columns
    return [*(column for column in table if full or column.default), *_HIDDEN]


def read_heads(directory: str, *, full: bool = False) -> Heads:
    """Reads the sessions of a results directory, those that have ended only once.

    Args:
        directory: The results directory; one that is not there has no sessions.
        full: Whether all columns are wanted.

    Raises:
        ResultsDirError: If it can't be read.
    """
    mine = columns(full=full)
    dtypes = {column.name: column.dtype for column in mine if column.name != _PATH}
    kept = Cache(directory, "sessions_full" if full else "sessions", dtypes)
    names = list(session_names(directory))
    found = kept.find(names)
    fresh = _Fresh(directory, mine, full=full)
    for number in np.flatnonzero(found.source < 0).tolist():
        fresh.read(number, names[number])
    took_s, new = fresh.took_s, fresh.builder.frame()
    rows = _rows(found, fresh, new)
    order = _order(found, rows, names)
    if full:
        paths = series([f"{directory}/{name}" for name in names], "string")
        rows = rows.assign(**{_PATH: paths})[[column.name for column in mine]]
    found.signatures[fresh.numbers] = np.array(fresh.signatures, np.int64).reshape(-1, len(ABSENT))
    kept.save(fresh.entries(names, order), new, took_s, everything=True)
    return Heads(directory, names, rows, found.signatures, fresh.unreadable).taken(order)


class _Fresh:
    """Sessions that are read now.

    Args:
        directory: The results directory.
        columns: The columns of the rows.
        full: Whether they are all.
    """

    def __init__(self, directory: str, columns: list[Column], *, full: bool) -> None:
        self.builder = Builder(columns)
        self.numbers: list[int] = []
        self.signatures: list[Signature] = []
        self._digests: list[str] = []
        self.unreadable: dict[str, str] = {}
        self._directory = directory
        self._full = full
        self._began = time.perf_counter()

    def read(self, number: int, name: str) -> None:
        """Reads one."""
        now_ns = files.now_ns()
        root = f"{self._directory}/{name}"
        digest, settled, _ = cache.look(root, _RUNNER) if self._full else ("", True, 0)
        snapshot = read_session(root, tasks=False, loads=loads)
        row = session_row(snapshot, full=self._full)
        row[START] = snapshot.count("start_time")
        row[CREATED] = snapshot.head.get("created_at")
        self.builder.add_rows([row])
        mine = ABSENT
        if snapshot.state in states.ENDED_STATES and snapshot.stat is not None and settled:
            mine = files.signature(snapshot.stat)
            mine = mine if files.is_settled(mine, now_ns) else ABSENT
        elif snapshot.state == states.UNREADABLE:
            # A head alone does not tell the reason.
            self.unreadable[name] = snapshot.problem or read_session(root).problem
        self.numbers.append(number)
        self.signatures.append(mine)
        self._digests.append(digest)

    @property
    def took_s(self) -> float:
        """How long it took so far."""
        return time.perf_counter() - self._began

    def entries(self, names: list[str], order: Integers) -> list[Entry]:
        """Those that may be kept, in this order of all names."""
        rows = {number: row for row, number in enumerate(self.numbers)}
        others = _RUNNER if self._full else ""
        return [
            Entry(names[n], *self.signatures[row], others, self._digests[row], _WEIGHT, row, 1)
            for n in order.tolist()
            if (row := rows.get(n)) is not None and self.signatures[row] != ABSENT
        ]


def _rows(found: Found, fresh: _Fresh, new: pd.DataFrame) -> pd.DataFrame:
    """The rows of all sessions, in the order in which they were found."""
    found.source[fresh.numbers] = len(found.tables)
    found.start[fresh.numbers] = range(len(fresh.numbers))
    tables = [*found.tables, new]
    first = np.cumsum([0, *(len(each) for each in tables)])
    return cache.taken(joined(tables), first[found.source] + found.start)


def _order(found: Found, rows: pd.DataFrame, names: list[str]) -> Integers:
    """The newest first, as `catalog.list_sessions` has them."""
    if len(found.tables) == 1 and not (found.source > 0).any():
        return np.argsort(found.start)  # it was kept in this order
    starts = rows[START].to_numpy("int64", na_value=0).tolist()
    created = rows[CREATED].fillna("").tolist()
    keys = list(zip(starts, created, names, strict=True))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__, reverse=True), np.int64)
