"""Streams that grow: what was read of them stays with this process, so only what is new is read."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any, BinaryIO, Generic, TypeVar

from cpr_nb.frames.jsonl import JsonlReader, read_pieces
from cpr_nb.store.files import open_regular

R = TypeVar("R", bound=JsonlReader)

_LIMIT_BYTES = 64 << 20
#: What a stream takes beside what was read of it.
OVERHEAD_BYTES = 4096
_MARK_BYTES = 64


class StreamCache:
    """What was read of streams, each for one table; the one used longest ago goes first.

    Args:
        limit_bytes: How many bytes of streams it may stand for.

    Example:
        >>> Growing().n_bytes
        0
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.lock = threading.RLock()  # held while a reading is read or used
        self.n_bytes = 0
        self._limit_bytes = limit_bytes
        self._streams: OrderedDict[tuple[str, type[JsonlReader]], _Stream[Any]] = OrderedDict()

    def read(self, path: str, make: type[R]) -> R:
        """Reads on in a stream; from its begin if it is another file than it was.

        Args:
            path: The stream.
            make: What reads it.

        Raises:
            OSError: If it can't be read.
        """
        stream: _Stream[R] | None = self._streams.pop((path, make), None)
        if stream is not None:
            self.n_bytes -= stream.n_bytes
        with open_regular(path) as file:
            if stream is None or not stream.goes_on(file):
                stream = _Stream(make(), file)
            may_stay = stream.read_on(file)
        if may_stay:
            self._streams[path, make] = stream
            self.n_bytes += stream.n_bytes
            while self.n_bytes > self._limit_bytes:
                self.n_bytes -= self._streams.popitem(last=False)[1].n_bytes
        return stream.reading


class _Stream(Generic[R]):
    """One stream: the whole lines of it that were read."""

    def __init__(self, reading: R, file: BinaryIO) -> None:
        self.reading = reading
        self.offset = 0
        self._file = _identity(file)
        self._mark = b""  # what stands before the offset

    @property
    def n_bytes(self) -> int:
        """About how much is kept of it."""
        return self.offset + OVERHEAD_BYTES

    def goes_on(self, file: BinaryIO) -> bool:
        """Whether this file begins with what was read: it was not replaced or cut."""
        if _identity(file) != self._file:
            return False
        file.seek(self.offset - len(self._mark))
        return file.read(len(self._mark)) == self._mark

    def read_on(self, file: BinaryIO) -> bool:
        """Reads what is new; whether the next call may go on from there."""
        file.seek(self.offset)
        self.reading.n_torn_bytes = 0
        for piece in read_pieces(file):
            if piece[-1] == ord("\n"):
                self.reading.feed(piece)
                self.offset += len(piece)
                self._mark = bytes(piece[-_MARK_BYTES:])
                continue
            # A line without its end yet. It counts if it is an event, but more may follow on it.
            torn = bytes(piece)
            if self.reading.event(torn) is not None:
                self.reading.feed(torn)
                return False
            self.reading.n_torn_bytes = len(torn)
        return True


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


#: Of this process.
STREAM_CACHE = StreamCache()
