"""A user's frame as JSON in the session's folder, so that another kernel can read it.

The index and columns of numbers, texts, booleans, times, durations and categories come back
unchanged. Other cells come back as JSON, or as text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.model.factors import plain
from cpr_nb.store.files import read_json

_VERSION = 1
# Dtypes that pandas parses from texts.
_BY_TEXT = ("string", "str", "period", "date32", "date64")
# A value that is nested deeper, or contains itself, is stored as text.
_MAX_DEPTH = 50
# What numpy and pandas count a missing time as.
_MISSING = np.iinfo("int64").min


def encode(frame: pd.DataFrame) -> dict[str, Any]:
    """Encodes a frame as JSON.

    Example:
        >>> frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="row"))
        >>> decode(encode(frame)).equals(frame)
        True
    """
    index = frame.index
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    return {
        "version": _VERSION,
        "n_rows": len(frame),
        "index": [_column(level.to_series(), level.name) for level in levels],
        "columns": [_column(frame.iloc[:, i], name) for i, name in enumerate(frame.columns)],
    }


def decode(encoded: dict[str, Any]) -> pd.DataFrame | None:
    """Decodes what `encode` has returned; None if it is something else."""
    try:
        return _decode(encoded)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _decode(encoded: dict[str, Any]) -> pd.DataFrame | None:
    n_rows = int(encoded["n_rows"])
    levels = [_series(column) for column in encoded["index"]]
    columns = [_series(column) for column in encoded["columns"]]
    if not levels or any(len(series) != n_rows for series in (*levels, *columns)):
        return None
    levels = [_hashable(level) for level in levels]
    index = pd.Index(levels[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels)
    labels = [series.name for series in columns]
    names = pd.Index(labels, dtype="object", tupleize_cols=False)
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n_rows))
    frame.columns = names.infer_objects() if len(names) else names
    frame.index = index.set_names([series.name for series in levels])
    return frame


def read_frame(path: str) -> pd.DataFrame | None:
    """Reads the frame in a session's folder; None if there is none."""
    encoded = read_json(path)
    return decode(encoded) if encoded else None


def pick_rows(rows: Sequence[tuple[pd.DataFrame, int]]) -> pd.DataFrame:
    """Makes a frame of rows of other frames.

    Args:
        rows: A frame and the number of its row, from 0.
    """
    frames = {id(frame): frame for frame, _ in rows}
    positions: dict[int, list[int]] = {}  # of the rows of each frame in the result
    for position, (frame, _) in enumerate(rows):
        positions.setdefault(id(frame), []).append(position)
    parts = [frames[key].iloc[[rows[p][1] for p in group]] for key, group in positions.items()]
    order = [position for group in positions.values() for position in group]
    together = parts[0] if len(parts) == 1 else pd.concat(parts)
    return together.iloc[sorted(range(len(order)), key=order.__getitem__)]


def _column(series: pd.Series[Any], name: object) -> dict[str, Any]:
    dtype = series.dtype
    encoded: dict[str, Any] = {"name": _cell(name), "dtype": str(dtype)}
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories.to_series()
        encoded |= {"categories": _column(categories, None), "ordered": dtype.ordered}
        return {**encoded, "dtype": "category", "values": series.cat.codes.tolist()}
    if str(dtype).startswith(_BY_TEXT):
        return {**encoded, "values": [_cell(value) for value in series]}
    if dtype.kind in "mM":
        counts = series.astype("int64").tolist()
        encoded["values"] = [
            None if missing else n for n, missing in zip(counts, series.isna(), strict=True)
        ]
        return encoded
    if dtype.kind in "biuf":
        return {**encoded, "values": [_cell(value) for value in series]}
    return {**encoded, "dtype": "object", "values": [_cell(value) for value in series]}


def _series(encoded: dict[str, Any]) -> pd.Series[Any]:
    dtype, values, name = encoded["dtype"], encoded["values"], _label(encoded["name"])
    if dtype == "category":
        kind = pd.CategoricalDtype(_series(encoded["categories"]), encoded["ordered"])
        return pd.Series(pd.Categorical.from_codes(values, dtype=kind), name=name)
    if dtype.startswith(("datetime64", "timedelta64")):
        return _times(values, dtype, name)
    series: pd.Series[Any]
    try:
        series = pd.Series(values, dtype=dtype, name=name)
    except (TypeError, ValueError, ImportError):  # such as a dtype of a missing library
        series = pd.Series(values, dtype="object", name=name)
    return series


def _label(value: Any) -> Any:
    """A label or a name: JSON turns tuples into lists, which are not hashable."""
    return tuple(map(_label, value)) if isinstance(value, list) else value


def _hashable(level: pd.Series[Any]) -> pd.Series[Any]:
    if level.dtype != "object":
        return level
    return pd.Series([_label(value) for value in level], dtype="object", name=level.name)


def _times(values: list[int | None], dtype: str, name: Any) -> pd.Series[Any]:
    """Times or durations from their counts; times with a zone are converted to it."""
    kind, _, rest = dtype.partition("[")
    unit, _, zone = rest.rstrip("]").partition(", ")
    # Not by pandas: beside a missing value, pandas 2.1 takes a number for nanoseconds.
    counts = np.array([_MISSING if value is None else value for value in values], "int64")
    times: pd.Series[Any] = pd.Series(counts.view(f"{kind}[{unit}]"), name=name)
    if not zone:
        return times
    times = times.dt.tz_localize("UTC")
    with suppress(KeyError, ValueError):  # a zone that this system does not know
        times = times.dt.tz_convert(zone)
    return times


def _cell(value: Any, depth: int = 0) -> Any:
    """A cell as JSON; as text if JSON has no such value."""
    if depth > _MAX_DEPTH:
        return str(value)
    value = plain(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list | tuple):
        return [_cell(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {str(key): _cell(element, depth + 1) for key, element in value.items()}
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return str(value)


def _float(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
