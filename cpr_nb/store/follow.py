"""Reading a growing file: only what is new, only whole lines."""

from __future__ import annotations

import os

from cpr_nb.store.read import open_regular


class Follower:
    """Follows one file that somebody appends to.

    Args:
        path: The file; it need not exist yet.

    Example:
        >>> Follower("/no/such/file").new_lines()
        []
    """

    __slots__ = ("_offset", "_path", "_torn")

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0
        self._torn = b""

    def new_lines(self, limit_bytes: int | None = None) -> list[bytes]:
        """The lines that were completed since the last call; a torn one waits for its end.

        Args:
            limit_bytes: How much to read at most; the rest comes with the next call.
        """
        try:
            if os.stat(self._path).st_size == self._offset:  # most looks find nothing new
                return []
            file = open_regular(self._path)
        except (OSError, ValueError):  # ValueError: a stranger's id with a NUL
            return []
        with file:
            if os.fstat(file.fileno()).st_size < self._offset:  # somebody began it anew
                self._offset, self._torn = 0, b""
            file.seek(self._offset)
            data = file.read(-1 if limit_bytes is None else limit_bytes)
        self._offset += len(data)
        lines = (self._torn + data).split(b"\n")
        self._torn = lines.pop()
        return lines
