"""Reads streams piece by piece, as whole lines and as events: no file is held in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

import msgspec
import numpy as np

from cpr_nb.model.events import parse_line

_PIECE_BYTES = 1 << 20
_NEWLINE, _OPEN, _CLOSE = b"\n{}"


def read_pieces(file: BinaryIO, piece_bytes: int = _PIECE_BYTES) -> Iterator[memoryview]:
    """Reads the rest of a file as pieces of whole lines; the last may lack its newline.

    A piece is valid until the next one is read.

    Args:
        file: The file.
        piece_bytes: About how large a piece is, unless a line is longer.
    """
    size = os.fstat(file.fileno()).st_size - file.tell()
    buffer = bytearray(min(max(size, 0) + 1, piece_bytes))
    held = 0  # bytes at the start of the buffer that are no whole line yet
    while n := file.readinto(memoryview(buffer)[held:]):  # type: ignore[attr-defined]
        end = held + n
        cut = buffer.rfind(b"\n", held, end) + 1
        if cut:
            yield memoryview(buffer)[:cut]
            buffer[: end - cut] = buffer[cut:end]
        held = end - cut
        if held == len(buffer):  # a line longer than that
            buffer = buffer + bytearray(len(buffer))
    if held:
        yield memoryview(buffer)[:held]


class JsonlReader:
    """Reads one stream for one table: it is fed lines, and `handle_events` gets their events."""

    #: Decodes an event of the usual form.
    decoder: ClassVar[msgspec.json.Decoder[Any]]

    def __init__(self) -> None:
        self.n_lines = 0
        self.n_bytes = 0
        self.n_torn_bytes = 0  # of the last line, which was not fed: it is still being written
        self.unreadable: list[int] = []  # the numbers of lines that are no event

    def feed(self, data: bytes | memoryview) -> None:
        """Reads lines, in order."""
        self.n_bytes += len(data)
        n_lines = count_objects(data)
        if n_lines:
            try:
                events = self.decoder.decode_lines(data)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                events = []
            if len(events) == n_lines:
                self.n_lines += n_lines
                self.handle_events(events)
                return
        *lines, torn = bytes(data).split(b"\n")
        for line in lines:
            self.n_lines += 1
            if not self._feed_line(line) and line.strip():
                self.unreadable.append(self.n_lines)
        if torn:
            self._feed_line(torn)  # if it is no event, it is still being written

    def _feed_line(self, line: bytes) -> bool:
        event = self.parse_event(line)
        if isinstance(event, dict):
            self.handle_odd_event(event)
        elif event is not None:
            self.handle_events([event])
        return event is not None

    def parse_event(self, line: bytes) -> Any:
        """Parses a line as an event of the decoder, else as an object; None if it is neither."""
        try:
            return self.decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return parse_line(line)  # such as NaN, or a lone surrogate

    def handle_events(self, events: list[Any]) -> None:
        """Handles events of the decoder, in order."""
        raise NotImplementedError

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles an event of another form."""
        raise NotImplementedError


def count_objects(data: bytes | memoryview) -> int:
    r"""Counts lines if each starts with ``{`` and ends with ``}``; else returns 0.

    No object continues across the end of such a line: JSON does not allow ``}``, a newline and
    ``{`` in a row inside an object. So if there are as many objects as lines, each line is one.

    Example:
        >>> count_objects(b'{"a":1}\n{}\n'), count_objects(b'{"a":\n1}\n')
        (2, 0)
    """
    buffer = np.frombuffer(data, np.uint8)
    if not len(buffer) or buffer[0] != _OPEN or buffer[-1] != _NEWLINE:
        return 0
    ends = np.flatnonzero(buffer == _NEWLINE)
    if (buffer[ends - 1] != _CLOSE).any() or (buffer[ends[:-1] + 1] != _OPEN).any():
        return 0
    return len(ends)
