"""Reads what is new in a folder of transcripts, and makes the tables of the folder as it is now."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cpr_nb.frames.builder import TableBuilder, concat_tables
from cpr_nb.frames.transcripts.file_reader import CALL_FIELDS, MESSAGE_FIELDS, TranscriptReader
from cpr_nb.frames.transcripts.file_rows import (
    MARK_BYTES,
    FileRows,
    Start,
    read_new_file,
    read_rows,
)
from cpr_nb.frames.transcripts.index_file import FILES, INDEX_TABLES, INDEX_TIMES, NODES
from cpr_nb.frames.transcripts.line_tree import Integers
from cpr_nb.frames.transcripts.original_rows import mark_originals
from cpr_nb.frames.transcripts.second_reader import SecondReader, second_reader
from cpr_nb.frames.transcripts.transcript_files import TranscriptFile, parent_call
from cpr_nb.store.files import open_regular

_NO_NUMBERS = np.empty(0, np.int64)


class IndexChanges(NamedTuple):
    """The files to read, and the numbers of the rows that are no longer valid."""

    to_read: list[tuple[TranscriptFile, int | None]]
    stale: set[int]


def changed_files(files: pd.DataFrame, found: list[TranscriptFile]) -> IndexChanges | None:
    """What has changed since; None if nothing has."""
    known = {path: row for row, path in enumerate(files["path"].tolist())}
    signature = files[["inode", "size_bytes", "mtime_ns"]].to_numpy("int64").tolist()
    numbers = files["file"].tolist()
    to_read: list[tuple[TranscriptFile, int | None]] = []
    for file in found:
        row = known.pop(file.path, None)
        if row is None:
            to_read.append((file, None))
        elif signature[row] != [file.inode, file.size_bytes, file.mtime_ns]:
            to_read.append((file, row))
    stale = {numbers[row] for row in known.values()}
    stale |= {numbers[row] for _, row in to_read if row is not None}
    return IndexChanges(to_read, stale) if to_read or stale else None


@contextmanager
def _without_collection() -> Iterator[None]:
    """Nothing that is read is garbage, and looking for it takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class IndexUpdate:
    """Makes the tables of the folder as it is now."""

    def __init__(
        self,
        folder: str,
        before: Mapping[str, pd.DataFrame],
        changes: IndexChanges,
    ) -> None:
        self._folder, self._before, self._changes = folder, before, changes
        self._builders = {name: TableBuilder(columns) for name, columns in INDEX_TABLES.items()}
        self._first_number = int(before["files"]["file"].max()) + 1 if len(before["files"]) else 0
        #: Indexes of files that were not read yet, in order.
        self._left = dict.fromkeys(range(len(changes.to_read)))
        self._nodes: dict[int, tuple[Integers, ...]] = {}
        self._n_read_bytes = 0

    def run(self) -> tuple[dict[str, pd.DataFrame], int]:
        """The tables, and how many bytes were read."""
        with _without_collection():
            self._read_in_two_processes()
            for index in list(self._left):
                self._read(index)
        tables = {}
        stale = list(self._changes.stale)
        for name in INDEX_TABLES:
            kept = self._before[name]
            if stale:
                kept = kept[~kept["file"].isin(stale)]
            builder = self._builders.pop(name)  # its pieces are as large as the table
            new = _in_order(builder.frame()) if name != "nodes" else self._new_nodes()
            del builder
            parts = [part for part in (kept, new) if len(part)]
            tables[name] = concat_tables(parts).reset_index(drop=True) if parts else new
        # In the order of a first reading, so that the tables are those of a first reading, too.
        tables["files"] = tables["files"].sort_values("path", ignore_index=True)
        mark_originals(tables)
        return tables, self._n_read_bytes

    def _new_nodes(self) -> pd.DataFrame:
        nodes = [self._nodes.pop(number) for number in sorted(self._nodes)]
        columns = zip(*nodes, strict=True) if nodes else [[_NO_NUMBERS]] * len(NODES)
        numbers = (np.concatenate(column) for column in columns)
        return pd.DataFrame(
            {
                column.name: pd.arrays.IntegerArray(values, np.zeros(len(values), bool))
                for column, values in zip(NODES, numbers, strict=True)
            }
        )

    def _read_in_two_processes(self) -> None:
        """Reads the new files, if they are many; what is not read then is in `_left`."""
        files = self._changes.to_read
        new = [index for index, (_, row) in enumerate(files) if row is None]
        new_files = [files[index][0] for index in new]
        listed = [(file.path, file.agent_id is not None, file.size_bytes) for file in new_files]
        other = second_reader(self._folder, listed)
        if other is None:
            return
        with closing(other):
            while group := other.own_group():
                for place in group:
                    self._read(new[place])
                self._add_received(other, new)
            other.wait()
            self._add_received(other, new)

    def _add_received(self, other: SecondReader, new: list[int]) -> None:
        for place, rows in other.received():
            self._add(new[place], rows)

    def _read(self, index: int) -> None:
        file, row = self._changes.to_read[index]
        path, is_agent = f"{self._folder}/{file.path}", file.agent_id is not None
        try:
            if row is None:
                rows = read_new_file(path, is_agent=is_agent)
            else:
                rows = self._read_changed(path, file, self._before["files"].iloc[row])
        except OSError:
            del self._left[index]  # it has gone, or is somebody else's
        else:
            self._add(index, rows)

    def _read_changed(self, path: str, file: TranscriptFile, facts: Any) -> FileRows:
        is_agent = file.agent_id is not None
        reader, start = TranscriptReader(is_agent=is_agent), Start()
        with open_regular(path) as stream:
            if _continues(stream, file, facts):
                self._continue(reader, facts)
                offset = int(facts["offset"])
                stream.seek(max(0, offset - MARK_BYTES))
                start = Start(offset, stream.read(min(offset, MARK_BYTES)))
            return read_rows(stream, reader, start, is_agent=is_agent)

    def _continue(self, reader: TranscriptReader, facts: Any) -> None:
        number = int(facts["file"])
        messages, calls, nodes = (
            table[(table["file"] == number).to_numpy(bool)]
            for table in (self._before[name] for name in ("messages", "calls", "nodes"))
        )
        reader.n_lines = int(facts["n_lines"])
        reader.unreadable = [0] * int(facts["n_unreadable"])
        names = ("session_id", "title", "cwd", "git_branch", "claude_version")
        known = {name: facts[name] for name in names if not pd.isna(facts[name])}
        for name in ("leaf", "n_prompts"):
            if not pd.isna(facts[name]):
                known[name] = int(facts[name])
        for name in ("first_at", "last_at"):
            if not pd.isna(facts[name]):
                known[name] = _iso(facts[name])
        reader.continue_from(
            known,
            [tuple(values) for values in _rows(messages, MESSAGE_FIELDS)],
            [list(values) for values in _rows(calls, CALL_FIELDS)],
            (
                nodes["key"].to_numpy("int64"),
                nodes["parent"].to_numpy("int64"),
                nodes["message_number"].to_numpy("int64"),
            ),
        )

    def _add(self, index: int, rows: FileRows) -> None:
        file, number = self._changes.to_read[index][0], self._first_number + index
        del self._left[index]
        self._n_read_bytes += rows.n_read_bytes
        constants = {"file": number}
        n_messages, n_calls = len(rows.messages[0]), len(rows.calls[0])
        lists: dict[str, list[Any]] = dict(zip(MESSAGE_FIELDS, rows.messages, strict=True))
        lists |= {"is_current": rows.is_current, "is_original": [True] * n_messages}
        self._builders["messages"].add(lists, n_messages, constants)
        lists = dict(zip(CALL_FIELDS, rows.calls, strict=True))
        lists |= {"is_original": [True] * n_calls, "is_current": [None] * n_calls}
        self._builders["calls"].add(lists, n_calls, constants)
        lines = rows.lines()
        self._nodes[number] = (np.full(len(lines[0]), number), *lines)
        values = {
            "parent_call": parent_call(self._folder, file),
            **rows.facts,
            **constants,
            **file._asdict(),
        }
        self._builders["files"].add({c.name: [values.get(c.name)] for c in FILES}, 1, {})


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of the files: two processes read them in another one."""
    numbers = table["file"].to_numpy("int64")
    if (np.diff(numbers) >= 0).all():
        return table
    return table.take(np.argsort(numbers, kind="stable")).reset_index(drop=True)


def _continues(stream: Any, file: TranscriptFile, facts: Any) -> bool:
    """Whether a file begins with what was read of it: it was neither replaced nor truncated."""
    offset = int(facts["offset"])
    if file.inode != facts["inode"] or file.size_bytes < offset:
        return False
    stream.seek(max(0, offset - MARK_BYTES))
    return bool(zlib.crc32(stream.read(min(offset, MARK_BYTES))) == facts["mark"])


def _rows(table: pd.DataFrame, names: tuple[str, ...]) -> Any:
    """The rows of a table as they were before they became one."""
    columns = []
    for name in names:
        column = table[name]
        if name in INDEX_TIMES:
            columns.append([None if pd.isna(time) else _iso(time) for time in column])
        else:
            columns.append([None if value is pd.NA else value for value in column.tolist()])
    return zip(*columns, strict=True)


def _iso(time: Any) -> str:
    """A time as the CLI writes it, unless it has more digits."""
    text: str = time.isoformat(timespec="microseconds")
    text = text.replace("+00:00", "Z")
    return text.replace("000Z", "Z") if text.endswith("000Z") else text
