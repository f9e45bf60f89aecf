"""Lists of values as columns of a dtype, all at once; what can't be of the dtype is missing."""

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
#: The ordered categories: the words of `cpr_nb.model.states`, in their order.
CATEGORIES = {
    "session state": states.SESSION_STATES,
    "task state": states.TASK_STATES,
    "outcome": states.OUTCOMES,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A time as the CLI and the runner write it, and where its digits are.
_FORM = b"0000-00-00T00:00:00.000Z"
_DIGITS = np.array([place for place, byte in enumerate(_FORM) if byte == ord("0")])
_MARKS = np.array([place for place, byte in enumerate(_FORM) if byte != ord("0")])
_MARK_BYTES = np.frombuffer(_FORM, np.uint8)[_MARKS]
_TIME_DTYPE = pd.DatetimeTZDtype("us", "UTC")
_NONE = type(None)


def series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """Makes a column of a dtype, or of `CATEGORIES`; what can't be of it is missing.

    Args:
        values: The values, as JSON gives them.
        dtype: The dtype.

    Example:
        >>> series([1, 2.0, "3", None], "Int64").tolist()
        [1, 2, <NA>, <NA>]
    """
    made = array(values, dtype)
    return pd.Series(made, dtype="object" if dtype == "object" else None, copy=False)


def array(values: list[Any], dtype: str) -> Any:
    """The same as an array, of pandas or (of objects) of numpy."""
    if dtype == "object":
        made = np.empty(len(values), dtype=object)
        made[:] = values
        return made
    if dtype == TIME:
        return pd.array(_timestamps(values), dtype=_TIME_DTYPE)
    if dtype in CATEGORIES:
        return _category(values, CATEGORIES[dtype])
    if dtype == "string":
        return _texts(values)
    read, make = _READERS[dtype], _MAKERS[dtype]
    try:
        found = make(values)
    except OverflowError:
        found = None
    return found if found is not None else make([read(value) for value in values])


def frame(arrays: Mapping[str, Any]) -> pd.DataFrame:
    """A table of such arrays."""
    if frames.on_table is not None:
        frames.on_table()
    columns = {
        # Else pandas would see what the objects are.
        name: pd.Series(found, dtype="object") if isinstance(found, np.ndarray) else found
        for name, found in arrays.items()
    }
    return pd.DataFrame(columns, copy=False)


def concatenate(arrays: Sequence[Any]) -> Any:
    """Arrays of one dtype, one after the other."""
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

    # The system's allocator: the others keep a third more than the texts need.
    how = {"type": pa.large_string(), "memory_pool": pa.system_memory_pool()}
    try:
        made = pa.array(values, **how)
    except (ValueError, TypeError):
        made = pa.array([_text(value) for value in values], **how)
    return pd.array(made, dtype=dtype)


def _is_unicode(values: list[str | None]) -> bool:
    """Whether there is no half of a surrogate pair."""
    together = "".join(filter(None, values))
    if together.isascii():
        return True
    try:
        together.encode()
    except UnicodeEncodeError:
        return False
    return True


def _category(values: list[Any], words: tuple[str, ...]) -> Any:
    codes = {word: code for code, word in enumerate(words)}
    try:
        found = [codes.get(value, -1) for value in values]
    except TypeError:  # a list, which is no key
        found = [codes.get(value, -1) if isinstance(value, str) else -1 for value in values]
    return pd.Categorical.from_codes(
        np.array(found, dtype=np.int8), dtype=pd.CategoricalDtype(list(words), ordered=True)
    )


def _integers(values: list[Any]) -> Any:
    kinds = set(map(type, values))
    if not kinds <= {int, _NONE}:
        return None
    missing = _missing(values, kinds)
    known = [value or 0 for value in values] if _NONE in kinds else values
    return pd.arrays.IntegerArray(np.array(known, dtype=np.int64), missing)


def _floats(values: list[Any]) -> Any:
    if not set(map(type, values)) <= {float, int, _NONE}:
        return None
    known = np.array(values, dtype=np.float64)  # None becomes NaN
    missing = ~np.isfinite(known)
    known[missing] = 0.0
    return pd.arrays.FloatingArray(known, missing)


def _booleans(values: list[Any]) -> Any:
    kinds = set(map(type, values))
    if not kinds <= {bool, _NONE}:
        return None
    return pd.arrays.BooleanArray(np.array(values, dtype=bool), _missing(values, kinds))


def _missing(values: list[Any], kinds: set[type]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if _NONE not in kinds:
        return np.zeros(len(values), dtype=bool)
    return np.array([value is None for value in values], dtype=bool)


def _timestamps(values: list[Any]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """ISO 8601 times as microseconds since the epoch."""
    known = [value for value in values if value is not None]
    moments = _usual_timestamps(known)
    if moments is None:
        return np.array([_microseconds(value) for value in values], dtype="datetime64[us]")
    if len(known) == len(values):
        return moments
    made = np.full(len(values), np.datetime64("NaT", "us"))
    made[~_missing(values, {_NONE})] = moments
    return made


def _usual_timestamps(values: list[Any]) -> np.ndarray[Any, np.dtype[np.datetime64]] | None:
    """The same if all have the form of `_FORM` and are on the calendar, ten times faster."""
    if not values or set(map(type, values)) != {str} or set(map(len, values)) != {len(_FORM)}:
        return None
    together = "".join(values)
    if not together.isascii():
        return None
    found = np.frombuffer(together.encode(), np.uint8).reshape(-1, len(_FORM))
    digits = found[:, _DIGITS] - ord("0")  # what is below 0 becomes large: these are bytes
    if (digits > 9).any() or (found[:, _MARKS] != _MARK_BYTES).any():
        return None
    d = digits.T.astype(np.int64)
    year = d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]
    month, day, hour, minute, second = (d[at] * 10 + d[at + 1] for at in range(4, 14, 2))
    if (month < 1).any() or (month > 12).any() or (year < 1).any():
        return None
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    date = first.astype("datetime64[D]") + (day - 1)
    if (date.astype("datetime64[M]") != first).any() or (day < 1).any():
        return None
    if (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        return None
    milliseconds = d[14] * 100 + d[15] * 10 + d[16]
    of_day = (((hour * 60 + minute) * 60 + second) * 1000 + milliseconds) * 1000
    made: np.ndarray[Any, np.dtype[np.datetime64]] = date.astype("datetime64[us]") + of_day
    return made


# -- one by one, for what is odd --------------------------------------------------------------


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text


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
    """Microseconds since the epoch of an ISO 8601 time; without a zone it is in UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            pass
    return np.datetime64("NaT", "us")


_READERS: dict[str, Callable[[object], Any]] = {
    "Int64": _integer,
    "Float64": _float,
    "boolean": _boolean,
}
_MAKERS: dict[str, Callable[[list[Any]], Any]] = {
    "Int64": _integers,
    "Float64": _floats,
    "boolean": _booleans,
}
