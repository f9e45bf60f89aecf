"""Lists of values as arrays of a dtype; a value that does not fit the dtype is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb import frames
from cpr_nb.model import states

TIME = "datetime64[us, UTC]"
#: The ordered categories: the states of `cpr_nb.model.states`, in their order.
CATEGORIES = {
    "session state": states.SESSION_STATES,
    "task state": states.TASK_STATES,
    "outcome": states.OUTCOMES,
    "node state": states.NODE_STATES,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A time as the CLI and the runner write it, and the positions of its digits.
_FORM = b"0000-00-00T00:00:00.000Z"
_DIGITS = np.array([index for index, byte in enumerate(_FORM) if byte == ord("0")])
_MARKS = np.array([index for index, byte in enumerate(_FORM) if byte != ord("0")])
_MARK_BYTES = np.frombuffer(_FORM, np.uint8)[_MARKS]
_UNIT = "datetime64[us]"
_TIME_DTYPE = pd.DatetimeTZDtype("us", "UTC")
_NONE = type(None)


def series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """Makes a column of a dtype, or of `CATEGORIES`; a value that does not fit is missing.

    Args:
        values: The values, as JSON has them.
        dtype: The dtype.

    Example:
        >>> series([1, 2.0, "3", None], "Int64").tolist()
        [1, 2, <NA>, <NA>]
    """
    column = array(values, dtype)
    return pd.Series(column, dtype="object" if dtype == "object" else None, copy=False)


def array(values: list[Any], dtype: str) -> Any:
    """The same as an array: one of pandas, or for objects one of numpy."""
    if dtype == "object":
        objects = np.empty(len(values), dtype=object)
        objects[:] = values
        return objects
    if dtype == TIME:
        return pd.array(_timestamps(values), dtype=_TIME_DTYPE)
    if dtype in CATEGORIES:
        return _category(values, CATEGORIES[dtype])
    if dtype == "string":
        return _texts(values)
    convert, build = _CONVERTERS[dtype], _BUILDERS[dtype]
    try:
        numbers = build(values)
    except OverflowError:
        numbers = None
    return numbers if numbers is not None else build([convert(value) for value in values])


def frame(arrays: Mapping[str, Any]) -> pd.DataFrame:
    """Makes a table of such arrays."""
    if frames.on_table is not None:
        frames.on_table()
    columns = {
        # Without the dtype pandas would infer one from the objects.
        name: pd.Series(values, dtype="object") if isinstance(values, np.ndarray) else values
        for name, values in arrays.items()
    }
    return pd.DataFrame(columns, copy=False)


def concatenate(arrays: Sequence[Any]) -> Any:
    """Concatenates arrays of one dtype."""
    if len(arrays) == 1:
        return arrays[0]
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays)
    return type(arrays[0])._concat_same_type(arrays)


# -- all at once ------------------------------------------------------------------------------


def _texts(values: list[Any]) -> Any:
    dtype = pd.StringDtype()
    if dtype.storage == "python":
        if not set(map(type, values)) <= {str, _NONE} or not _is_unicode(values):
            values = [_text(value) for value in values]
        return pd.array(values, dtype=dtype)
    import pyarrow as pa

    # The system's allocator: the others use a third more than the texts need.
    options = {"type": pa.large_string(), "memory_pool": pa.system_memory_pool()}
    try:
        texts = pa.array(values, **options)
    except (ValueError, TypeError):
        texts = pa.array([_text(value) for value in values], **options)
    return pd.array(texts, dtype=dtype)


def _is_unicode(values: list[str | None]) -> bool:
    """Whether no text has a lone surrogate."""
    text = "".join(filter(None, values))
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _category(values: list[Any], categories: tuple[str, ...]) -> Any:
    codes = {category: code for code, category in enumerate(categories)}
    try:
        value_codes = [codes.get(value, -1) for value in values]
    except TypeError:  # a list, which is not hashable
        value_codes = [codes.get(value, -1) if isinstance(value, str) else -1 for value in values]
    return pd.Categorical.from_codes(
        np.array(value_codes, dtype=np.int8),
        dtype=pd.CategoricalDtype(list(categories), ordered=True),
    )


def _integers(values: list[Any]) -> Any:
    types = set(map(type, values))
    if not types <= {int, _NONE}:
        return None
    missing = _missing(values, types)
    numbers = [value or 0 for value in values] if _NONE in types else values
    return pd.arrays.IntegerArray(np.array(numbers, dtype=np.int64), missing)


def _floats(values: list[Any]) -> Any:
    if not set(map(type, values)) <= {float, int, _NONE}:
        return None
    numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    missing = ~np.isfinite(numbers)
    numbers[missing] = 0.0
    return pd.arrays.FloatingArray(numbers, missing)


def _booleans(values: list[Any]) -> Any:
    types = set(map(type, values))
    if not types <= {bool, _NONE}:
        return None
    return pd.arrays.BooleanArray(np.array(values, dtype=bool), _missing(values, types))


def _missing(values: list[Any], types: set[type]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if _NONE not in types:
        return np.zeros(len(values), dtype=bool)
    return np.array([value is None for value in values], dtype=bool)


def _timestamps(values: list[Any]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """ISO 8601 times as microseconds since the epoch."""
    present = [value for value in values if value is not None]
    timestamps = _usual_timestamps(present)
    if timestamps is None:
        return np.array([_microseconds(value) for value in values], dtype=_UNIT)
    if len(present) == len(values):
        return timestamps
    with_missing = np.full(len(values), np.datetime64("NaT", "us"))
    with_missing[~_missing(values, {_NONE})] = timestamps
    return with_missing


def _usual_timestamps(values: list[Any]) -> np.ndarray[Any, np.dtype[np.datetime64]] | None:
    """The same if all have the form of `_FORM` and exist, ten times faster; else None."""
    if not values or set(map(type, values)) != {str} or set(map(len, values)) != {len(_FORM)}:
        return None
    text = "".join(values)
    if not text.isascii():
        return None
    characters = np.frombuffer(text.encode(), np.uint8).reshape(-1, len(_FORM))
    digits = characters[:, _DIGITS] - ord("0")  # what is below 0 becomes large: these are bytes
    if (digits > 9).any() or (characters[:, _MARKS] != _MARK_BYTES).any():
        return None
    d = digits.T.astype(np.int64)
    date = _dates(d)
    hour, minute, second = (d[n] * 10 + d[n + 1] for n in (8, 10, 12))
    if date is None or (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        return None
    milliseconds = d[14] * 100 + d[15] * 10 + d[16]
    time_of_day = (((hour * 60 + minute) * 60 + second) * 1000 + milliseconds) * 1000
    timestamps: np.ndarray[Any, np.dtype[np.datetime64]] = date.astype(_UNIT) + time_of_day
    return timestamps


def _dates(d: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """The dates of digits, one row per digit; None if one of them does not exist."""
    year = d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]
    month, day = d[4] * 10 + d[5], d[6] * 10 + d[7]
    if (month < 1).any() or (month > 12).any() or (year < 1).any() or (day < 1).any():
        return None
    first_of_month = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    date = first_of_month.astype("datetime64[D]") + (day - 1)
    is_in_month = date.astype("datetime64[M]") == first_of_month
    return date if is_in_month.all() else None


# -- one by one, for odd values ---------------------------------------------------------------


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no text


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _microseconds(value: object) -> int | np.datetime64:
    """An ISO 8601 time as microseconds since the epoch; without a zone it is in UTC."""
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
            return (time.replace(tzinfo=time.tzinfo or UTC) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            pass
    return np.datetime64("NaT", "us")


_CONVERTERS: dict[str, Callable[[object], Any]] = {
    "Int64": _integer,
    "Float64": _float,
    "boolean": _boolean,
}
_BUILDERS: dict[str, Callable[[list[Any]], Any]] = {
    "Int64": _integers,
    "Float64": _floats,
    "boolean": _booleans,
}
