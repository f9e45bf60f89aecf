"""The last result line of a stream, without reading the rest."""

from __future__ import annotations

import os

from cpr_nb.model.events import parse_line
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

_BLOCK_BYTES = 65536
_MARK = b'"result"'


def last_result(path: str, with_field: str = "type") -> dict[str, Any] | None:
    """Reads a stream backwards to its last result line; None if it has none.

    Args:
        path: The stream.
        with_field: A field that the line must have: each turn of a run has a line of its own, and
            what one delivers, the lines of later ones may lack.

    Example:
        >>> last_result("/none") is None
        True
    """
    try:
        with open_regular(path) as file:
            for line in _lines_backwards(file):
                event = parse_line(line) if _MARK in line else None
                if event is None or event["type"] != "result":
                    continue
                if event.get(with_field) is not None:
                    return event
    except (OSError, ValueError):  # ValueError: a foreign id with a NUL
        pass
    return None


def _lines_backwards(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, the last one first; the work is linear in its length."""
    end = file.seek(0, os.SEEK_END)
    pieces: list[bytes] = []  # of a line whose beginning is not read yet, the last one first
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        begin, *lines = file.read(end - start).split(b"\n")
        end = start
        if lines:
            pieces.append(lines.pop())
            yield b"".join(reversed(pieces))
            yield from reversed(lines)
            pieces = []
        pieces.append(begin)
    yield b"".join(reversed(pieces))
