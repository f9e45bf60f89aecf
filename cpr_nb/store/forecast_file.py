"""forecasts.jsonl: the forecasts that were shown of a session, one a line."""

from __future__ import annotations

import json
import os

from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.layout import SessionPaths

_MOST_BYTES = 1_000_000


def append_forecast(paths: SessionPaths, forecast: dict[str, Any]) -> bool:
    """Keeps a forecast, unless one from as many rows is the last one kept.

    Args:
        paths: The session's paths.
        forecast: Its figures.

    Returns:
        Whether it is kept; False also if the folder can't be written.
    """
    kept = read_forecasts(paths)
    if kept and kept[-1].get("n_ended") == forecast["n_ended"]:
        return True
    line = json.dumps(forecast, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(paths.forecasts, flags, 0o600)
    except OSError:
        return False
    try:
        return os.fstat(fd).st_size < _MOST_BYTES and os.write(fd, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(fd)


def read_forecasts(paths: SessionPaths) -> list[dict[str, Any]]:
    """The forecasts that were kept, the earliest first; what is no forecast is left out.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> read_forecasts(SessionPaths("/no/such/session-1"))
        []
    """
    try:
        with open_regular(paths.forecasts) as file:
            lines = file.read(_MOST_BYTES * 2).splitlines()
    except OSError:
        return []
    kept = []
    for line in lines:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict) and type(fields.get("n_ended")) is int:
            kept.append(fields)
    return kept
