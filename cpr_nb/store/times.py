"""Times as they are written: ISO 8601 in UTC."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse_iso(iso: object) -> float | None:
    """Seconds since the epoch of an ISO 8601 time, or None.

    Example:
        >>> parse_iso("1970-01-01T00:00:01.500Z")
        1.5
    """
    if not isinstance(iso, str):
        return None
    from datetime import UTC, datetime  # 1.4 ms: most runners, and legacy sessions, need none

    try:
        moment = datetime.fromisoformat(iso)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def utc_iso(epoch_s: float) -> str:
    """A time as ISO 8601 in UTC, to the millisecond.

    Example:
        >>> utc_iso(0.5)
        '1970-01-01T00:00:00.500Z'
    """
    whole, millis = divmod(int(epoch_s * 1000), 1000)
    if _SECOND[0] != whole:
        _SECOND[:] = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{_SECOND[1]}.{millis:03d}Z"


# The last second that was formatted: a busy runner asks for the same one hundreds of times.
_SECOND: list[Any] = [None, ""]
