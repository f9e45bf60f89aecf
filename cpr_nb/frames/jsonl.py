"""Streams as whole lines, a piece at a time, and their events: no file is ever held whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

import msgspec
import numpy as np

from cpr_nb.model.events import parse_line

_PIECE_BYTES = 1 << 20
_NEWLINE, _OPEN, _CLOSE = b"\n{}"


def read_pieces(file: BinaryIO) -> Iterator[memoryview]:
    """What is left of a file, in whole lines; the last piece may lack its newline.

    A piece is good until the next is asked for.
    """
    size = os.fstat(file.fileno()).st_size - file.tell()
    buffer = bytearray(min(max(size, 0) + 1, _PIECE_BYTES))
    held = 0  # bytes at the buffer's begin that are no whole line yet
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
    """What one stream says, for one table: the lines are fed, `take` gets their events."""

    #: Reads an event of the form that is expected of it.
    decoder: ClassVar[msgspec.json.Decoder[Any]]

    def __init__(self) -> None:
        self.n_lines = 0
        self.n_bytes = 0
        self.n_torn_bytes = 0  # of a last line that was not fed: it is still being written
        self.unreadable: list[int] = []  # the numbers of lines that are no event

    def feed(self, data: bytes | memoryview) -> None:
        """Takes lines, in order."""
        self.n_bytes += len(data)
        n_lines = count_objects(data)
        if n_lines:
            try:
                events = self.decoder.decode_lines(data)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                events = []
            if len(events) == n_lines:
                self.n_lines += n_lines
                self.take(events)
                return
        *lines, torn = bytes(data).split(b"\n")
        for line in lines:
            self.n_lines += 1
            if not self._feed_line(line) and line.strip():
                self.unreadable.append(self.n_lines)
        if torn:
            self._feed_line(torn)  # if it is no event it is still being written

    def _feed_line(self, line: bytes) -> bool:
        event = self.event(line)
        if isinstance(event, dict):
            self.take_odd(event)
        elif event is not None:
            self.take([event])
        return event is not None

    def event(self, line: bytes) -> Any:
        """The event of a line, of the decoder's form or as an object; None if it is none."""
        try:
            return self.decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return parse_line(line)  # what is odd, such as NaN or half a surrogate pair

    def take(self, events: list[Any]) -> None:
        """Takes events of the decoder's form, in order."""
        raise NotImplementedError

    def take_odd(self, event: dict[str, Any]) -> None:
        """Takes an event that has not this form."""
        raise NotImplementedError


def count_objects(data: bytes | memoryview) -> int:
    r"""How many lines there are, if each begins with ``{`` and ends with ``}``; else 0.

    No object can go on over such a line's end: nothing in JSON allows ``}``, a newline and
    ``{`` in a row inside an object. So if there are as many objects as lines, each is one.

    Example:
        >>> count_objects(b'{"a":1}\n{}\n'), count_objects(b'{"a":\n1}\n')
        (2, 0)
    """
    found = np.frombuffer(data, np.uint8)
    if not len(found) or found[0] != _OPEN or found[-1] != _NEWLINE:
        return 0
    ends = np.flatnonzero(found == _NEWLINE)
    if (found[ends - 1] != _CLOSE).any() or (found[ends[:-1] + 1] != _OPEN).any():
        return 0
    return len(ends)
