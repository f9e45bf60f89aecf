"""The rows of one transcript, in a form that one process can send to another."""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np

from cpr_nb.frames.jsonl import read_pieces
from cpr_nb.frames.transcripts.file_reader import CALL_FIELDS, MESSAGE_FIELDS, TranscriptReader
from cpr_nb.frames.transcripts.line_tree import Integers
from cpr_nb.store.files import open_regular

#: The bytes before the place where a reading ended: they tell whether the file was replaced.
MARK_BYTES = 64
#: A piece and all that is made of it fit into the caches of a processor: 15 % less time.
_PIECE_BYTES = 64 << 10


class FileRows(msgspec.Struct, gc=False, array_like=True):
    """What was read of one file.

    Args:
        messages: The columns of its answers, in the order of `MESSAGE_FIELDS`.
        is_current: Whether each answer is in the conversation as it stands; None for what has
            no say in that.
        calls: The columns of its calls, in the order of `CALL_FIELDS`.
        tree: The keys of its lines, their parents' keys, the numbers of their answers; as the
            bytes of 64-bit integers.
        facts: What is known of the file as a whole, by column.
        n_read_bytes: How many bytes were read now.
    """

    messages: list[list[Any]]
    is_current: list[bool | None]
    calls: list[list[Any]]
    tree: tuple[bytes, bytes, bytes]
    facts: dict[str, Any]
    n_read_bytes: int

    def lines(self) -> tuple[Integers, Integers, Integers]:
        """The tree as integers."""
        keys, parents, numbers = (np.frombuffer(part, np.int64) for part in self.tree)
        return keys, parents, numbers


class Start(NamedTuple):
    """Where a reading starts, and the bytes before that."""

    offset: int = 0
    mark: bytes = b""


def read_new_file(path: str, *, is_agent: bool) -> FileRows:
    """Reads a file of which nothing is known.

    Args:
        path: The file.
        is_agent: Whether it is the file of a subagent.

    Raises:
        OSError: If it can't be read.
    """
    with open_regular(path) as stream:
        return read_rows(stream, TranscriptReader(is_agent=is_agent), Start(), is_agent=is_agent)


def read_rows(
    stream: BinaryIO, reader: TranscriptReader, start: Start, *, is_agent: bool
) -> FileRows:
    """Reads a file from where its reader stands.

    Args:
        stream: The file.
        reader: Knows what comes before `start`.
        start: Where to start.
        is_agent: Whether it is the file of a subagent.
    """
    offset, mark = start
    stream.seek(offset)  # what was read to compare is read again
    for piece in read_pieces(stream, _PIECE_BYTES):
        if piece[-1] != ord("\n") and reader.parse_event(bytes(piece)) is None:
            break  # a line that is still being written
        reader.feed(piece)
        offset += len(piece)
        mark = bytes(piece[-MARK_BYTES:])
    tree = reader.tree()
    keys, parents, numbers = tree
    rows = reader.message_rows()
    return FileRows(
        messages=_columns(rows, len(MESSAGE_FIELDS)),
        is_current=_current_flags(rows, reader.current_answers(tree), is_agent=is_agent),
        calls=_columns(list(reader.calls.values()), len(CALL_FIELDS)),
        tree=(keys.tobytes(), parents.tobytes(), numbers.tobytes()),
        facts={
            **reader.facts,
            "offset": offset,
            "mark": zlib.crc32(mark),
            "leaf": reader.leaf,
            "n_lines": reader.n_lines,
            "n_unreadable": len(reader.unreadable),
        },
        n_read_bytes=offset - start.offset,
    )


def _current_flags(
    rows: list[tuple[Any, ...]], is_current: Any, *, is_agent: bool
) -> list[bool | None]:
    """For the answers of a conversation; a subagent's are as current as its call."""
    if is_agent:
        return [None] * len(rows)
    sidechain = MESSAGE_FIELDS.index("is_sidechain")
    return [
        None if row[sidechain] else flag
        for row, flag in zip(rows, is_current.tolist(), strict=True)
    ]


def _columns(rows: list[Any], n_columns: int) -> list[list[Any]]:
    if not rows:
        return [[] for _ in range(n_columns)]
    return list(map(list, zip(*rows, strict=True)))
