"""Reads the rows of a file, CSV, JSON lines or Parquet, as a frame that is filled in unchanged."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from cpr_nb.frames.mapping import RESULT, TASK_COLUMNS, answer_names
from cpr_nb.model import templates
from cpr_nb.model.errors import InputError
from cpr_nb.model.spec import MAX_PROMPT_BYTES

#: The ending of a file → its format; of files that are read, and of files that are written.
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)


class RowsFile(NamedTuple):
    """The rows of a file.

    Args:
        frame: The rows.
        labels: The name of each row in errors, such as ``line 3``.
        source: The name of the file.
    """

    frame: pd.DataFrame
    labels: Sequence[str]
    source: str

    def check(
        self, template: str, further: Iterable[str], schemas: Iterable[Mapping[str, Any] | None]
    ) -> None:
        """Refuses rows that can't be filled in, or joined with the answers.

        Args:
            template: The prompt with ``{column}`` placeholders.
            further: More names that the template may use, and that are columns of the results.
            schemas: The JSON schema of each task's answer; None for a text.

        Raises:
            InputError: Naming the line, and what to do.
        """
        if not template.strip():
            raise InputError("is empty", "TEMPLATE")
        names = tuple(further)
        columns = [*self.frame.columns, *filter(None, self.frame.index.names), *names]
        templates.fill(template, dict.fromkeys(map(str, columns), ""), self.source)
        answers = [answer_names(schema) if schema else [RESULT] for schema in schemas]
        existing = {*TASK_COLUMNS, *names, *(name for part in answers for name in part)}
        for name in self.frame.columns:
            if name in existing:
                raise InputError(
                    f"the results have a column {name!r} of their own: rename that of the file, or "
                    "leave it out",
                    self.source,
                )
        for name in templates.names(template):
            missing = self.frame[name].isna() if name in self.frame.columns else None
            if missing is not None and missing.any():
                where = f"{self.source}: {self.labels[int(missing.to_numpy().argmax())]}"
                raise InputError(
                    f"{name!r} is empty, and the template needs it: fill it in, or leave the row "
                    "out",
                    where,
                )


def read_rows(data: bytes, source: str, form: str) -> RowsFile:
    r"""Reads the rows of a file.

    A column of a CSV file is one of numbers if each of its cells reads back the same. So an id such
    as ``007`` stays as it is.

    Args:
        data: The file's content.
        source: Its name, for errors.
        form: ``csv``, ``jsonl`` or ``parquet``.

    Raises:
        InputError: It names the line, and what to do.

    Example:
        >>> rows = read_rows(b"path,id,bugs\na.py,007,3\n", "rows.csv", "csv")
        >>> rows.frame.dtypes.astype(str).tolist(), rows.frame["id"].tolist()
        (['string', 'string', 'Int64'], ['007'])
    """
    rows = _READERS[form](data, source)
    if not len(rows.frame):
        raise InputError("has no rows: there is nothing to do", source)
    return rows


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: byte {error.start} is wrong", source) from None


# -- CSV --------------------------------------------------------------------------------------


def _csv(data: bytes, source: str) -> RowsFile:
    reader = csv.reader(io.StringIO(_text(data, source), newline=""), strict=True)
    usual_limit = csv.field_size_limit(MAX_PROMPT_BYTES + 1)  # the default is 128 KiB a cell
    rows: list[list[str]] = []
    labels: list[str] = []
    try:
        names = next(reader, [])
        _check_names(names, f"{source}: line 1")
        line = reader.line_num + 1
        for row in reader:
            label, line = f"line {line}", reader.line_num + 1
            if not row:
                continue  # an empty line
            if len(row) != len(names):
                raise InputError(
                    f"has {len(row)} cells, and the first line has {len(names)}",
                    f"{source}: {label}",
                )
            rows.append(row)
            labels.append(label)
    except csv.Error as error:
        raise InputError(f"is not CSV: {error} at line {reader.line_num}", source) from None
    finally:
        csv.field_size_limit(usual_limit)
    cells = {name: [row[number] or None for row in rows] for number, name in enumerate(names)}
    columns = {name: _typed_texts(texts) for name, texts in cells.items()}
    return RowsFile(pd.DataFrame(columns, index=range(len(rows))), labels, source)


def _check_names(names: Sequence[str], where: str) -> None:
    """Refuses a header that does not name its columns."""
    if not names:
        raise InputError("is empty: the first line must name the columns", where)
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise InputError(f"column {number} has no name", where)
        if names.index(name) != number - 1:
            raise InputError(f"{name!r} occurs twice: rename one of them", where)


def _typed_texts(texts: list[str | None]) -> pd.Series[Any]:
    """A column of numbers, or of true and false, if each text reads back the same."""
    cells = [text for text in texts if text is not None]
    for dtype, is_same, convert in _TYPES:
        if cells and all(map(is_same, cells)):
            return pd.Series([t if t is None else convert(t) for t in texts], dtype=dtype)
    return pd.Series(texts, dtype="string")


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and text != "-0"


def _is_float(text: str) -> bool:
    try:
        return str(float(text)) == text and text not in ("nan", "inf", "-inf")
    except ValueError:
        return False


_TYPES: tuple[tuple[str, Callable[[str], bool], Callable[[str], Any]], ...] = (
    ("Int64", _is_integer, int),
    ("Float64", _is_float, float),
    ("boolean", lambda text: text in ("True", "False"), lambda text: text == "True"),
)


# -- JSON lines -------------------------------------------------------------------------------


class _Object(dict[str, Any]):
    """An object of a line; a prompt has it as JSON."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


class _Array(list[Any]):
    """An array of a line; a prompt has it as JSON."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


def _jsonl(data: bytes, source: str) -> RowsFile:
    # Not splitlines(): a JSON text may hold U+2028 and the like as they are.
    numbered = [(n, x) for n, x in enumerate(_text(data, source).split("\n"), 1) if x.strip()]
    rows: list[dict[str, Any]] = []
    for number, line in numbered:
        where = f"{source}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", where) from None
        if not isinstance(row, dict):
            raise InputError('must be an object, such as {"path": "a.py"}', where)
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _typed_values([row.get(name) for row in rows]) for name in names}
    frame = pd.DataFrame(columns, index=range(len(rows)))
    return RowsFile(frame, [f"line {n}" for n, _ in numbered], source)


def _typed_values(values: list[Any]) -> pd.Series[Any]:
    """A column of one type of JSON, else of objects: 1 and 2.5 in one column stay as they are."""
    kinds = {type(value) for value in values if value is not None}
    dtype = _DTYPES.get(kinds.pop()) if len(kinds) == 1 else None
    if dtype is not None:
        try:
            return pd.Series(values, dtype=dtype)
        except OverflowError:
            pass
    wrapped = [
        _Object(value)
        if isinstance(value, dict)
        else _Array(value)
        if isinstance(value, list)
        else value
        for value in values
    ]
    return pd.Series(wrapped, dtype="object")


_DTYPES = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}


# -- Parquet ----------------------------------------------------------------------------------


def _parquet(data: bytes, source: str) -> RowsFile:
    check_parquet(source)
    try:
        frame = pd.read_parquet(io.BytesIO(data), dtype_backend="numpy_nullable")
    except (ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
        raise InputError(f"is not a Parquet file that can be read: {error}", source) from None
    if not frame.index.is_unique:
        frame = frame.reset_index(drop=frame.index.names == [None])
    _check_names([str(name) for name in frame.columns], source)
    return RowsFile(frame, [f"row {number}" for number in range(1, len(frame) + 1)], source)


def check_parquet(source: str) -> None:
    """Refuses a Parquet file where nothing can read and write it.

    Args:
        source: The name of the file.

    Raises:
        InputError: Saying what to install.
    """
    import importlib.util

    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("Parquet files need pyarrow: pip install pyarrow", source)


_READERS: dict[str, Callable[[bytes, str], RowsFile]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
