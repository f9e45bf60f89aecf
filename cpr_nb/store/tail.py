"""Reads a growing file: only new, whole lines."""

from __future__ import annotations

import os
import stat

from cpr_nb.model.lines import LineSplitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


_PIECE_BYTES = 1 << 20


class Follower:
    """Reads the new lines of a file that someone appends to.

    Args:
        path: The file; it need not exist yet.

    Example:
        >>> Follower("/no/such/file").new_lines()
        []
    """

    __slots__ = ("_lines", "_offset", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0
        self._lines = LineSplitter()

    def each_new_line(self) -> Iterator[bytes]:
        """Yields the lines that `new_lines` returns, and holds only a piece of them in memory."""
        before = -1
        while self._offset != before:
            before = self._offset
            yield from self.new_lines(_PIECE_BYTES)

    def new_lines(self, limit_bytes: int | None = None) -> list[bytes]:
        """The lines that were completed since the last call; a torn line waits for its end.

        Args:
            limit_bytes: The most to read; the rest comes with the next call.
        """
        try:
            status = os.stat(self._path)
            size = status.st_size
            # Most calls find nothing new; a named pipe in its place would block for ever.
            if size == self._offset or not stat.S_ISREG(status.st_mode):
                return []
            if size < self._offset:  # someone has replaced it
                self._offset, self._lines = 0, LineSplitter()
            n_new = size - self._offset
            # With many running tasks this is most of the work of a call.
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                n_bytes = n_new if limit_bytes is None else min(n_new, limit_bytes)
                data = os.pread(fd, n_bytes, self._offset)
            finally:
                os.close(fd)
        except (OSError, ValueError):  # ValueError: a foreign id with a NUL
            return []
        self._offset += len(data)
        return self._lines.feed(data)
