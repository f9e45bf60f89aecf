"""Every line of transcripts as rows: what was said, called and returned, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
import numpy as np
import pandas as pd

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columns import Column, DataFrame
from cpr_nb.frames.events import EventRowReader, UsualEvent, n_rows_of
from cpr_nb.frames.jsonl import read_pieces
from cpr_nb.frames.transcripts.line_tree import current_lines, line_keys
from cpr_nb.frames.transcripts.transcript_columns import EVENTS
from cpr_nb.frames.transcripts.transcript_tables import TranscriptTables
from cpr_nb.model.errors import InputError
from cpr_nb.store.files import open_regular

#: The lines that a person sees; the others are the CLI's own notes.
USUAL_TYPES = ("user", "assistant", "system")


class _LineEvent(UsualEvent, gc=False):
    """A line of the usual form, with its identifier."""

    uuid: str | None = None


class TranscriptEventReader(EventRowReader):
    """The rows of one file.

    Args:
        types: The types of lines that are wanted.
        skipped: The keys of lines that are not wanted: they were shown already.
    """

    decoder: ClassVar[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(_LineEvent)

    def __init__(self, types: frozenset[str], skipped: set[int]) -> None:
        super().__init__()
        self._types, self._skipped = types, skipped
        self.row_uuids: list[str | None] = []

    def handle_events(self, events: list[Any]) -> None:
        """Handles lines, in order."""
        wanted = [event for event in events if event.type in self._types]
        if self._skipped and wanted:
            keys = line_keys([event.uuid for event in wanted]).tolist()
            pairs = zip(wanted, keys, strict=True)
            wanted = [event for event, key in pairs if key not in self._skipped]
        super().handle_events(wanted)
        for event in wanted:
            self.row_uuids += [event.uuid] * n_rows_of(event, self._tools)

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one line of another form."""
        uuid = event.get("uuid")
        uuid = uuid if isinstance(uuid, str) else None
        is_shown = uuid is not None and int(line_keys([uuid])[0]) in self._skipped
        if event["type"] in self._types and not is_shown:
            n_before = len(self.lists["type"])
            super().handle_odd_event(event)
            self.row_uuids += [uuid] * (len(self.lists["type"]) - n_before)


def parse_event_columns(columns: str | Iterable[str] | None) -> list[Column]:
    """The columns that are asked for.

    Raises:
        InputError: If one of them does not exist.
    """
    by_name = {column.name: column for column in EVENTS}
    if columns is None:
        return list(EVENTS)
    names = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    for name in names:
        if name not in by_name:
            raise InputError(f"{name!r} is no column; there are {', '.join(by_name)}", "columns")
    return [by_name[name] for name in names]


def conversation_files(tables: TranscriptTables, conversation: str | None) -> DataFrame:
    """The files of a conversation, or all; originals come before their copies.

    Raises:
        InputError: If there is no such conversation, or several begin like that.
    """
    files = tables.files
    if conversation is not None:
        ids = files["session_id"].dropna().unique()
        found = [one for one in ids if one.startswith(conversation)] if conversation else []
        if len(found) != 1:
            how_many = "several begin" if found else "none begins"
            raise InputError(f"{how_many} with {conversation!r}; see df()", "conversation")
        is_wanted = (files["session_id"] == found[0]).fillna(False).to_numpy(bool)
        return files.iloc[np.flatnonzero(is_wanted)]
    copies = tables.index.messages
    has_copies = set(copies.loc[~copies["is_original"].to_numpy(bool), "file"])
    ranked = files.assign(has_copies=files["file"].isin(has_copies)).rename_axis(None)
    ordered: DataFrame = ranked.sort_values(["has_copies", "first_at"], kind="stable")
    return ordered


def read_events(
    tables: TranscriptTables, files: pd.DataFrame, types: frozenset[str], columns: list[Column]
) -> DataFrame:
    """The rows of files, each line once.

    Args:
        tables: The tables of the folder.
        files: The files, from `conversation_files`.
        types: The types of lines that are wanted.
        columns: The columns that are wanted.
    """
    builder = TableBuilder(columns)
    nodes = tables.index.nodes
    keys, parents = nodes["key"].to_numpy("int64"), nodes["parent"].to_numpy("int64")
    of_file = nodes["file"].to_numpy("int64")
    by_file = np.argsort(of_file, kind="stable")
    sorted_files = of_file[by_file]
    seen: set[int] = set()
    for number, path, leaf in zip(files["file"], files["path"], files["leaf"], strict=True):
        rows = by_file[slice(*np.searchsorted(sorted_files, [number, number + 1]))]
        is_current = current_lines(keys[rows], parents[rows], int(leaf))
        shared = {name: values[0] for name, values in tables.of_files([number]).items()}
        shared = {name: None if pd.isna(value) else value for name, value in shared.items()}
        reader = TranscriptEventReader(types, seen)
        flags = _Flags(keys[rows][is_current], shared)
        try:
            _add_file(f"{tables.index.folder}/{path}", reader, builder, shared, flags)
        except OSError:
            continue  # it has gone
        seen.update(keys[rows].tolist())
    return builder.frame()


class _Flags:
    """Whether rows are of the conversation as it stands."""

    def __init__(self, current: Any, shared: dict[str, Any]) -> None:
        self._current, self._shared = current, shared

    def of_rows(self, uuids: list[str | None]) -> list[bool | None]:
        if self._shared["agent_id"] is not None:
            flag = self._shared["parent_is_current"]
            return [None if flag is None else bool(flag)] * len(uuids)
        flags: list[bool | None] = np.isin(line_keys(uuids), self._current).tolist()
        return [None if uuid is None else flag for uuid, flag in zip(uuids, flags, strict=True)]


def _add_file(
    path: str,
    reader: TranscriptEventReader,
    builder: TableBuilder,
    shared: dict[str, Any],
    flags: _Flags,
) -> None:
    n_rows = n_bytes = 0
    with open_regular(path) as file:
        for piece in read_pieces(file):
            if piece[-1] != ord("\n") and reader.parse_event(bytes(piece)) is None:
                break  # a line that is still being written
            reader.feed(piece)
            uuids, reader.row_uuids = reader.row_uuids, []
            lists = reader.drain()
            lists["seq"] = list(range(n_rows + 1, n_rows + len(uuids) + 1))
            lists["is_current_branch"] = flags.of_rows(uuids)
            del lists["parent_tool_use_id"]  # a transcript does not say it
            builder.add(lists, len(uuids), shared, reader.n_bytes - n_bytes)
            n_rows, n_bytes = n_rows + len(uuids), reader.n_bytes
