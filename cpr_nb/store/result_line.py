"""The last result line of a stream, without reading the rest."""

from __future__ import annotations

import os

from cpr_nb.model.events import parse_line
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOCK_BYTES = 65536
_MARK = b'"result"'


def last_result(path: str) -> dict[str, Any] | None:
    """Reads a stream backwards to its last result line; None if it has none.

    Example:
        >>> last_result("/none") is None
        True
    """
    try:
        with open_regular(path) as file:
            end = file.seek(0, os.SEEK_END)
            rest = b""
            while end > 0:
                start = max(0, end - _BLOCK_BYTES)
                file.seek(start)
                lines = (file.read(end - start) + rest).split(b"\n")
                rest, end = lines[0], start
                whole = lines if start == 0 else lines[1:]
                for line in reversed(whole):
                    event = parse_line(line) if _MARK in line else None
                    if event is not None and event["type"] == "result":
                        return event
    except (OSError, ValueError):  # ValueError: a foreign id with a NUL
        pass
    return None
