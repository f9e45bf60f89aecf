"""A spool: the file that a process on a node writes its output to, until the hub has it."""

from __future__ import annotations

import os

#: What is sent of a stream before the hub has acknowledged any of it.
_WINDOW_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 16


class Spool:
    """Reads what a process has written, from where the hub has got it.

    The kernel writes it, so nothing is lost if the node agent stops, and the process never waits.

    Args:
        path: The file; it exists.
    """

    __slots__ = ("_acked", "_fd", "_path", "_sent")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._sent = self._acked = 0

    @property
    def size(self) -> int:
        """How many bytes it has; none once it is removed."""
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    @property
    def sent(self) -> int:
        """How many of them were sent."""
        return self._sent

    def next_chunk(self, end: int | None = None) -> tuple[int, bytes] | None:
        """What to send next: its offset, and the bytes; None if there is nothing now.

        Args:
            end: Where the stream ends, if the process has ended.
        """
        n_bytes = min(_CHUNK_BYTES, self._acked + _WINDOW_BYTES - self._sent)
        if end is not None:
            n_bytes = min(n_bytes, end - self._sent)
        data = os.pread(self._fd, n_bytes, self._sent) if n_bytes > 0 else b""
        if not data:
            return None
        offset, self._sent = self._sent, self._sent + len(data)
        return offset, data

    def acknowledge(self, size: int, *, again: bool = False) -> None:
        """The hub has so many bytes.

        Args:
            size: How many.
            again: Whether it wants all that follows again.
        """
        self._acked = size if again else max(self._acked, size)
        if again:
            self._sent = size

    def remove(self) -> None:
        """Closes and removes it."""
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        try:
            os.unlink(self._path)
        except OSError:
            pass
