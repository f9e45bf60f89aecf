"""The columns of a session's frame as plain JSON values, without pandas."""

from __future__ import annotations

from typing import Any

from cpr_nb.store.files import read_json
from cpr_nb.store.times import utc_iso

_UNITS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def read_columns(path: str) -> dict[str, list[Any]]:
    """Reads the columns of a frame, as `cpr_nb.frames.frame_json` has written it.

    Args:
        path: The frame.json of a session.

    Returns:
        The name of each column as text → its cells: categories by their values, times as ISO 8601,
        and durations in seconds. Empty if there is no frame, or it can't be read.

    Example:
        >>> read_columns("/none/session-1/frame.json")
        {}
    """
    encoded = read_json(path).get("columns")
    columns: dict[str, list[Any]] = {}
    for column in encoded if isinstance(encoded, list) else ():
        try:
            columns[str(column["name"])] = _cells(column)
        except (KeyError, TypeError, IndexError, ValueError, OverflowError):
            continue  # somebody has edited it
    return columns


def _cells(column: dict[str, Any]) -> list[Any]:
    dtype, cells = str(column["dtype"]), list(column["values"])
    if dtype == "category":
        names = _cells(column["categories"])
        return [names[code] if code >= 0 else None for code in cells]
    kind, _, rest = dtype.partition("[")
    if kind not in ("datetime64", "timedelta64"):
        return cells
    per_s = _UNITS_PER_S[rest.partition(",")[0].rstrip("]")]
    convert = utc_iso if kind == "datetime64" else float
    return [None if cell is None else convert(cell / per_s) for cell in cells]
