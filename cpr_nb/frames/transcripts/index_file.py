"""The file that keeps the index of a folder of transcripts, and the columns of its tables.

It is in the user's cache folder, written as a whole, and anyone may delete it. It holds numbers,
names and the beginnings of texts, but no texts as a whole.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping

import pandas as pd

from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columnar_file import encode_tables, open_columnar_file
from cpr_nb.frames.columns import TIME, Column
from cpr_nb.frames.transcripts.file_reader import CALL_FIELDS, MESSAGE_FIELDS
from cpr_nb.store import cache_files

#: Changes with the meaning of what is kept, so that another version starts anew.
_VERSION = 2

#: One row per file.
FILES = (
    *(Column(name, "Int64", "") for name in ("file", "inode", "size_bytes", "mtime_ns")),
    *(Column(name, "Int64", "") for name in ("offset", "mark", "leaf", "n_unreadable", "n_lines")),
    Column("n_prompts", "Int64", ""),
    *(Column(name, "string", "") for name in ("path", "session_id", "title", "cwd")),
    *(Column(name, "string", "") for name in ("git_branch", "claude_version", "parent_call")),
    *(Column(name, TIME, "") for name in ("first_at", "last_at")),
)
_FLAGS = ("is_fast", "is_sidechain", "is_foreign", "is_current", "is_original", "is_error")
_TEXTS = (
    *("message_id", "model", "tool_use_id", "tool", "target", "permission", "error"),
    "started_agent",
)
INDEX_TIMES = ("at", "started_at", "ended_at")


def _column(name: str) -> Column:
    dtype = "Int64"
    if name in _FLAGS:
        dtype = "boolean"
    elif name in _TEXTS:
        dtype = "string"
    elif name in INDEX_TIMES:
        dtype = TIME
    return Column(name, dtype, "")


_MESSAGES = (*map(_column, ("file", *MESSAGE_FIELDS, "is_current", "is_original")),)
_CALLS = (*map(_column, ("file", *CALL_FIELDS, "is_original", "is_current")),)
#: One row per line.
NODES = (*map(_column, ("file", "key", "parent", "message_number")),)
INDEX_TABLES = {"files": FILES, "messages": _MESSAGES, "calls": _CALLS, "nodes": NODES}


class IndexFile:
    """The file that keeps the index of a folder.

    Args:
        folder: The folder with transcripts.
        environ: The environment, for the user's cache folder.
    """

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        self._directory = cache_files.user_folder(environ)
        columns = ",".join(c.name + c.dtype for table in INDEX_TABLES.values() for c in table)
        self._kind = f"transcripts {_VERSION} {zlib.crc32(columns.encode()):08x} {folder}"
        kind, path = self._kind.encode("utf-8", "replace"), os.fsencode(folder)
        self._name = f"transcripts-{zlib.crc32(path):08x}-{zlib.crc32(kind):08x}"

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that it has; empty ones if there is no file, or it can't be used."""
        file = cache_files.open_own(self._directory, self._name)
        if file is not None:
            with file:
                try:
                    opened = open_columnar_file(file, self._kind)
                    return {name: opened.read(name) for name in INDEX_TABLES}
                except (OSError, ValueError, KeyError):
                    pass  # torn, or foreign
        return {name: TableBuilder(columns).frame() for name, columns in INDEX_TABLES.items()}

    def save(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keeps these tables; where nothing can be written, all is read again the next time."""
        dtypes = {
            name: {c.name: c.dtype for c in columns} for name, columns in INDEX_TABLES.items()
        }
        parts = {name: (tables[name], dtypes[name]) for name in INDEX_TABLES}
        pieces = (piece.data for piece in encode_tables(self._kind, parts))
        if cache_files.make_user_folder(self._directory):
            cache_files.save(self._directory, self._name, pieces)
