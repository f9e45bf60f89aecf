"""Writes a table of results into a file: CSV, JSON lines or Parquet, whole or not at all."""

from __future__ import annotations

import csv
import json
import math
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from cpr_nb.frames.rows_file import FORMATS, check_parquet
from cpr_nb.model.errors import InputError

#: Instead of a file's name: the standard output, as CSV.
STDOUT = "-"


def check_target(path: str, source: str | None, where: str = "-o") -> str:
    """Checks that a table can be written, before anything is spent on it.

    Args:
        path: The file, or ``-`` for standard output.
        source: The file that its rows come from, which must not be overwritten; None for none.
        where: The name of the option, for errors.

    Returns:
        The format: ``csv``, ``jsonl`` or ``parquet``.

    Raises:
        InputError: If it can't be written; it says what to do.

    Example:
        >>> check_target("out.jsonl", "rows.csv")
        'jsonl'
    """
    if path == STDOUT:
        return "csv"
    form = FORMATS.get(Path(path).suffix.lower())
    if form is None:
        raise InputError(f"{path!r} must end in {', '.join(FORMATS)}", where)
    if form == "parquet":
        check_parquet(where)
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", where)
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder: name a file", where)
    if source is not None and Path(path).exists() and Path(path).samefile(source):
        raise InputError(f"{path} has the rows, and would be overwritten: name another one", where)
    writable = Path(path) if Path(path).exists() else folder
    if not os.access(writable, os.W_OK):
        raise InputError(f"can't write {path}: no permission", where)
    return form


def write_table(table: pd.DataFrame, path: str, form: str) -> None:
    """Writes a table. A file is replaced when all is written, so nobody sees a half of it.

    Args:
        table: The table; a level of its index without a name is left out.
        path: The file, or ``-`` for standard output.
        form: As `check_target` has returned it.

    Raises:
        OSError: If it can't be written.
    """
    plain = _plain(table)
    data = _parquet(plain) if form == "parquet" else _ENCODERS[form](plain).encode(errors="replace")
    if path == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    elif _is_special(path):
        Path(path).write_bytes(data)
    else:
        _replace(os.path.realpath(path), data)


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device, which can't be replaced."""
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def _replace(path: str, data: bytes) -> None:
    """Writes a file beside it, and puts it in its place."""
    target = Path(path)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table without what a file can't hold: attributes, and an index that says nothing."""
    plain = pd.DataFrame(table)  # not its way to be shown
    unnamed = [number for number, name in enumerate(plain.index.names) if name is None]
    for number in reversed(unnamed):
        last = plain.index.nlevels == 1
        plain = plain.reset_index(drop=True) if last else plain.droplevel(number)
    if plain.index.names != [None]:
        plain = plain.reset_index()
    plain.attrs = {}
    return plain


def _csv(table: pd.DataFrame) -> str:
    names = [name for name in table.columns if table[name].dtype == object]
    texts = {name: table[name].map(_cell_text) for name in names}
    table = table.assign(**texts)
    text = table.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # before Python 3.13, csv does not quote it beside such ends of lines
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
    return text


def _cell_text(value: Any) -> Any:
    """A cell of a CSV file: objects and arrays are JSON."""
    return _dumps(value) if isinstance(value, dict | list | tuple) else value


def _jsonl(table: pd.DataFrame) -> str:
    names = [str(name) for name in table.columns]
    columns = [[_json_value(value) for value in table.iloc[:, n]] for n in range(len(names))]
    rows = zip(*columns, strict=True)
    return "".join(_dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def _json_value(value: Any) -> Any:
    """A cell as JSON has it; a missing one, and a number that JSON lacks, is null."""
    if isinstance(value, dict | list | tuple):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _parquet(table: pd.DataFrame) -> bytes:
    """Parquet: a column of lists of one type stays one, other objects are JSON."""
    names = [name for name in table.columns if table[name].dtype == object]
    columns = {name: _json_texts(table[name]) for name in names if not _is_uniform(table[name])}
    return table.assign(**columns).to_parquet(index=False, engine="pyarrow")


def _is_uniform(column: pd.Series[Any]) -> bool:
    """Whether it has only texts, or only lists of values of one type.

    pyarrow would make of 1 and True two ones, and give each object the keys of all.
    """
    values = [value for value in column if not _is_missing(value)]
    items = [item for value in values for item in (value if isinstance(value, list) else ())]
    has_lists = all(isinstance(value, list) for value in values)
    kinds = {type(item) for item in (items if has_lists else values)}
    return kinds <= {str} or (has_lists and len(kinds) == 1 and kinds <= {str, int, float, bool})


def _json_texts(column: pd.Series[Any]) -> pd.Series[Any]:
    texts = [None if _is_missing(value) else _dumps(value) for value in column]
    return pd.Series(texts, index=column.index, dtype="string")


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


_ENCODERS = {"csv": _csv, "jsonl": _jsonl}
