"""Streams that grow: this process remembers what it read of them, and reads only what is new."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any, BinaryIO, Generic, TypeVar

from cpr_nb.frames.jsonl import JsonlReader, read_pieces
from cpr_nb.store.files import open_regular

R = TypeVar("R", bound=JsonlReader)

_LIMIT_BYTES = 64 << 20
#: What a stream costs beside its content.
OVERHEAD_BYTES = 4096
_MARK_BYTES = 64


class StreamCache:
    """The readers of streams, one per stream and table; the least recently used is dropped first.

    Args:
        limit_bytes: How many bytes of streams they may have read.

    Example:
        >>> StreamCache().n_bytes
        0
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.lock = threading.RLock()  # held while a reader reads or is used
        self.n_bytes = 0
        self._limit_bytes = limit_bytes
        self._streams: OrderedDict[tuple[str, type[JsonlReader]], _Stream[Any]] = OrderedDict()

    def read(self, path: str, reader_type: type[R]) -> R:
        """Continues to read a stream; from its start if it is another file than before.

        Args:
            path: The stream.
            reader_type: What reads it.

        Raises:
            OSError: If it can't be read.
        """
        stream: _Stream[R] | None = self._streams.pop((path, reader_type), None)
        if stream is not None:
            self.n_bytes -= stream.n_bytes
        with open_regular(path) as file:
            if stream is None or not stream.is_continued_by(file):
                stream = _Stream(reader_type(), file)
            is_reusable = stream.read_new(file)
        if is_reusable:
            self._streams[path, reader_type] = stream
            self.n_bytes += stream.n_bytes
            while self.n_bytes > self._limit_bytes:
                self.n_bytes -= self._streams.popitem(last=False)[1].n_bytes
        return stream.reader


class _Stream(Generic[R]):
    """One stream, and the reader that was fed all its whole lines."""

    def __init__(self, reader: R, file: BinaryIO) -> None:
        self.reader = reader
        self.offset = 0
        self._file = _identity(file)
        self._mark = b""  # the bytes before the offset

    @property
    def n_bytes(self) -> int:
        """About how much memory it takes."""
        return self.offset + OVERHEAD_BYTES

    def is_continued_by(self, file: BinaryIO) -> bool:
        """Whether this file starts with what was read: it was neither replaced nor truncated."""
        if _identity(file) != self._file:
            return False
        file.seek(self.offset - len(self._mark))
        return file.read(len(self._mark)) == self._mark

    def read_new(self, file: BinaryIO) -> bool:
        """Reads what is new, and returns whether the next call may continue from there."""
        file.seek(self.offset)
        self.reader.n_torn_bytes = 0
        for piece in read_pieces(file):
            if piece[-1] == ord("\n"):
                self.reader.feed(piece)
                self.offset += len(piece)
                self._mark = bytes(piece[-_MARK_BYTES:])
                continue
            # A line without a newline. It counts if it is an event, but it may continue.
            torn = bytes(piece)
            if self.reader.parse_event(torn) is not None:
                self.reader.feed(torn)
                return False
            self.reader.n_torn_bytes = len(torn)
        return True


def _identity(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


#: The cache of this process.
STREAM_CACHE = StreamCache()
