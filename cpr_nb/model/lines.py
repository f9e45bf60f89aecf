"""Splits bytes that come in portions into lines; no byte of a long line is copied again and again.

A line of 50 MB comes in hundreds of portions. To append each to what there is costs the square of
its length.
"""

from __future__ import annotations


class LineSplitter:
    r"""Splits portions into whole lines; the last one waits for its end.

    Example:
        >>> splitter = LineSplitter()
        >>> splitter.feed(b"a\nb"), splitter.feed(b"c\n"), splitter.rest()
        ([b'a'], [b'bc'], b'')
    """

    __slots__ = ("_torn",)

    def __init__(self) -> None:
        self._torn: list[bytes] = []

    def feed(self, portion: bytes) -> list[bytes]:
        """Returns the lines that this portion completes, without their line feeds."""
        begin, *lines = portion.split(b"\n")
        self._torn.append(begin)
        if not lines:
            return []
        whole = b"".join(self._torn)
        self._torn = [lines.pop()]
        return [whole, *lines]

    def rest(self) -> bytes:
        """Returns the line that has no end yet, and forgets it."""
        rest = b"".join(self._torn)
        self._torn = []
        return rest
