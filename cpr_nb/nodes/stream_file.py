"""A file of the session's folder that grows by what a node sends: bytes, each at its offset."""

from __future__ import annotations

import os


class StreamFile:
    """The only writer of a stream. What comes twice changes nothing; what leaves a gap is refused.

    Args:
        path: The file.
        is_new: Whether it begins empty. Otherwise it goes on where an earlier hub has stopped.

    Attributes:
        size: How many bytes it has.
        acknowledged: How many of them the node knows of.

    Raises:
        OSError: If it can't be opened.

    Example:
        >>> file = StreamFile("/dev/shm/example-stream", is_new=True)
        >>> file.put(0, b"abc"), file.put(1, b"bcd"), file.put(9, b"z")
        (True, True, False)
        >>> file.size
        4
        >>> file.close(); os.unlink("/dev/shm/example-stream")
    """

    __slots__ = ("_fd", "acknowledged", "size")

    def __init__(self, path: str, *, is_new: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags | (os.O_TRUNC if is_new else 0), 0o600)
        self.size = self.acknowledged = os.fstat(self._fd).st_size

    def put(self, offset: int, data: bytes) -> bool:
        """Writes bytes at their offset.

        Args:
            offset: Where they belong.
            data: The bytes.

        Returns:
            Whether they are in the file now; false after a gap, or if the disk is full.
        """
        if offset > self.size:
            return False
        left = memoryview(data)[self.size - offset :]
        while left:
            try:
                written = os.pwrite(self._fd, left, self.size)
            except OSError:
                return False
            self.size += written
            left = left[written:]
        return True

    def close(self) -> None:
        """Closes it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
