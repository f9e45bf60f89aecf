"""A user's frame, kept in the session's folder as JSON: another kernel finds it again.

Index and columns of numbers, texts, booleans, times, durations and categories come back as they
were. What else a cell may hold comes back as it is in JSON, or as its text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from cpr_nb.model.factors import plain
from cpr_nb.store.files import read_json

_VERSION = 1
# Dtypes that pandas reads from texts.
_BY_TEXT = ("string", "str", "period", "date32", "date64")
# What lies deeper in a cell, or within itself, is kept as its text.
_MAX_DEPTH = 50


def encode(frame: pd.DataFrame) -> dict[str, Any]:
    """A frame as JSON.

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


def decode(kept: dict[str, Any]) -> pd.DataFrame | None:
    """A frame of what `encode` has made of it; None if it is nothing of the kind."""
    try:
        n_rows = int(kept["n_rows"])
        levels = [_series(told) for told in kept["index"]]
        columns = [_series(told) for told in kept["columns"]]
        if not levels or any(len(series) != n_rows for series in (*levels, *columns)):
            return None
        levels = [_hashable(level) for level in levels]
        index = pd.Index(levels[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels)
        labels = [series.name for series in columns]
        names = pd.Index(labels, dtype="object", tupleize_cols=False)
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n_rows))
        frame.columns = names.infer_objects() if len(names) else names
        frame.index = index.set_names([series.name for series in levels])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    return frame


def read_frame(path: str) -> pd.DataFrame | None:
    """The frame in a session's folder; None if there is none."""
    kept = read_json(path)
    return decode(kept) if kept else None


def pick_rows(rows: Sequence[tuple[pd.DataFrame, int]]) -> pd.DataFrame:
    """A frame of rows of others.

    Args:
        rows: A frame and the number of its row, from 0.
    """
    numbers: dict[int, list[int]] = {}
    frames: dict[int, pd.DataFrame] = {}
    for place, (frame, _) in enumerate(rows):
        frames[id(frame)] = frame
        numbers.setdefault(id(frame), []).append(place)
    parts = [frames[key].iloc[[rows[place][1] for place in mine]] for key, mine in numbers.items()]
    order = [place for mine in numbers.values() for place in mine]
    joined = parts[0] if len(parts) == 1 else pd.concat(parts)
    return joined.iloc[sorted(range(len(order)), key=order.__getitem__)]


def _column(series: pd.Series[Any], name: object) -> dict[str, Any]:
    dtype = series.dtype
    told: dict[str, Any] = {"name": _cell(name), "dtype": str(dtype)}
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories.to_series()
        told |= {"categories": _column(categories, None), "ordered": dtype.ordered}
        return {**told, "dtype": "category", "values": series.cat.codes.tolist()}
    if str(dtype).startswith(_BY_TEXT):
        return {**told, "values": [_cell(value) for value in series]}
    if dtype.kind in "mM":
        counts = series.astype("int64").tolist()
        told["values"] = [
            None if missing else n for n, missing in zip(counts, series.isna(), strict=True)
        ]
        return told
    if dtype.kind in "biuf":
        return {**told, "values": [_cell(value) for value in series]}
    return {**told, "dtype": "object", "values": [_cell(value) for value in series]}


def _series(told: dict[str, Any]) -> pd.Series[Any]:
    dtype, values, name = told["dtype"], told["values"], _label(told["name"])
    if dtype == "category":
        kind = pd.CategoricalDtype(_series(told["categories"]), told["ordered"])
        return pd.Series(pd.Categorical.from_codes(values, dtype=kind), name=name)
    if dtype.startswith(("datetime64", "timedelta64")):
        return _times(values, dtype, name)
    made: pd.Series[Any]
    try:
        made = pd.Series(values, dtype=dtype, name=name)
    except (TypeError, ValueError, ImportError):  # such as a dtype of an absent library
        made = pd.Series(values, dtype="object", name=name)
    return made


def _label(value: Any) -> Any:
    """A label or a name: JSON makes lists of tuples, and a list is none."""
    return tuple(map(_label, value)) if isinstance(value, list) else value


def _hashable(level: pd.Series[Any]) -> pd.Series[Any]:
    if level.dtype != "object":
        return level
    return pd.Series([_label(value) for value in level], dtype="object", name=level.name)


def _times(values: list[int | None], dtype: str, name: Any) -> pd.Series[Any]:
    """Moments or durations of their counts; a zone shows them in its own time."""
    kind, _, rest = dtype.partition("[")
    unit, _, zone = rest.rstrip("]").partition(", ")
    counts: list[Any] = [pd.NaT if value is None else value for value in values]
    known: Any = f"{kind}[{unit}]"
    plain: pd.Series[Any] = pd.Series(pd.array(counts, dtype=known), name=name)
    if not zone:
        return plain
    made: pd.Series[Any] = plain.dt.tz_localize("UTC")
    with suppress(KeyError, ValueError):  # a zone that only its maker knows
        made = made.dt.tz_convert(zone)
    return made


def _cell(value: Any, depth: int = 0) -> Any:
    """A cell as JSON has it; what JSON has not, as text."""
    if depth > _MAX_DEPTH:
        return str(value)
    value = plain(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_cell(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {str(key): _cell(element, depth + 1) for key, element in value.items()}
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return str(value)
