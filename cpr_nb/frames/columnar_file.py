"""A file of tables: columns as raw bytes, so that nothing is parsed.

It works with and without pyarrow, and each reads what the other has written. No byte is used
before its checksum was verified.

Why not Feather where pyarrow is installed, and no cache where it is not? CPU of the second read in
seconds (in brackets: of the first), 10,000 sessions of 10 tasks, 182 MB of streams, measured on
two shared cores in 2026-11, pandas 3.1, pyarrow 26; the goals are those of benchmarks/README.md:

=================================== ============ ============ ============
what                                sessions_df  tasks_df     events_df
=================================== ============ ============ ============
goal for second / first             0.3          0.3          0.1
this file                           0.16 (0.48)  1.18 (8.51)  0.33 (3.83)
Feather, with a checksum            0.15 (0.41)  1.26 (7.87)  0.32 (4.04)
Feather, unverified                 0.13 (0.38)  1.13 (8.13)  0.25 (3.92)
no cache                            0.33 (0.29)  7.27 (7.42)  3.53 (3.72)
without pyarrow: this file          0.20 (0.46)  1.18 (7.45)  0.67 (4.86)
without pyarrow: no cache           0.36 (0.35)  7.80 (6.94)  3.40 (3.40)
=================================== ============ ============ ============

Without pyarrow only a cache comes near the goals. With it, Feather is faster only by the checksum
that it lacks: it would be a second format without a benefit.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import CATEGORIES, TIME

Buffer = Any  # np.ndarray[Any, Any], which mypy takes for no buffer
Part = list[Buffer]  # buffers that follow each other in the file

_MAGIC = b"cpr_nb pack 1\n"
_HEAD_BYTES = 64  # magic, size and checksum of the description
_ALIGNED_BYTES = 64
# A column of texts is stored as codes if few of its first texts are different.
_SAMPLE_ROWS = 1024
_MAX_SHARE = 0.25


class _Section(msgspec.Struct):
    """A table in the file: each column has a dtype and the sizes of its parts, in bytes."""

    n_rows: int
    n_bytes: int
    crc: int
    columns: dict[str, tuple[str, list[int]]]


class _Description(msgspec.Struct):
    kind: str
    sections: dict[str, _Section]


class ColumnarFile(NamedTuple):
    """An open file of tables.

    Args:
        file: The file.
        sections: Name of a table → its offset, and its section.
    """

    file: BinaryIO
    sections: dict[str, tuple[int, _Section]]

    def read(self, name: str) -> pd.DataFrame:
        """Reads one of its tables.

        Raises:
            ValueError: If it is damaged.
            OSError: If it can't be read.
        """
        start, section = self.sections[name]
        data = _read_at(self.file, start, section.n_bytes)
        if zlib.crc32(data) != section.crc:
            raise ValueError("a wrong checksum")
        columns, offset = {}, 0
        for column, (dtype, sizes) in section.columns.items():
            parts = []
            for size in sizes:
                parts.append(data[offset : offset + size])
                offset += _aligned(size)
            columns[column] = _decode(dtype, parts, section.n_rows)
        return pd.DataFrame(columns, copy=False)


def encode_tables(
    kind: str, tables: Mapping[str, tuple[pd.DataFrame, Mapping[str, str]]]
) -> list[Buffer]:
    """Encodes tables as the content of a file.

    Args:
        kind: What tables they are; `open_columnar_file` must be called with the same kind.
        tables: Name → the table, and the dtypes of its columns.
    """
    sections, body = {}, []
    for name, (table, dtypes) in tables.items():
        columns, buffers = {}, []
        for column, dtype in dtypes.items():
            encoding, parts = _encode(table[column], dtype)
            columns[column] = (encoding, [_size(part) for part in parts])
            for part in parts:
                buffers += _padded(part)
        crc = 0
        for buffer in buffers:
            crc = zlib.crc32(buffer, crc)
        n_bytes = sum(buffer.nbytes for buffer in buffers)
        sections[name] = _Section(len(table), n_bytes, crc, columns)
        body += buffers
    description = msgspec.json.encode(_Description(kind, sections))
    head = _MAGIC + f"{len(description)} {zlib.crc32(description)}\n".encode()
    return [_bytes(head.ljust(_HEAD_BYTES)), *_padded([_bytes(description)]), *body]


def open_columnar_file(file: BinaryIO, kind: str) -> ColumnarFile:
    """Opens a file of tables.

    Raises:
        ValueError: If it is no such file, of another kind, or damaged.
        OSError: If it can't be read.
    """
    head = bytes(_read_at(file, 0, _HEAD_BYTES))
    numbers = head.removeprefix(_MAGIC).split()
    if not head.startswith(_MAGIC) or len(numbers) != 2:
        raise ValueError("not a columnar file")
    size, crc = map(int, numbers)
    encoded = bytes(_read_at(file, _HEAD_BYTES, size))
    if zlib.crc32(encoded) != crc:
        raise ValueError("a wrong checksum")
    description = msgspec.json.decode(encoded, type=_Description)
    if description.kind != kind:
        raise ValueError("of another kind")
    sections, offset = {}, _HEAD_BYTES + _aligned(size)
    for name, section in description.sections.items():
        sections[name] = (offset, section)
        offset += section.n_bytes
    return ColumnarFile(file, sections)


def _read_at(file: BinaryIO, start: int, n_bytes: int) -> Buffer:
    if file.seek(0, 2) < start + n_bytes:
        raise ValueError("too short")
    data: Buffer = np.empty(n_bytes, np.uint8)
    file.seek(start)
    view, done = memoryview(data), 0
    while done < n_bytes:
        n = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not n:
            raise ValueError("too short")
        done += n
    return data


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES


def _size(part: Part) -> int:
    return sum(buffer.nbytes for buffer in part)


def _padded(part: Part) -> Part:
    flat = [np.ascontiguousarray(buffer).view(np.uint8).reshape(-1) for buffer in part]
    size = _size(part)
    return [*flat, np.zeros(_aligned(size) - size, np.uint8)]


def _bytes(data: bytes) -> Buffer:
    return np.frombuffer(data, np.uint8)


# -- columns ----------------------------------------------------------------------------------

_NUMBERS: dict[str, tuple[str, Any]] = {
    "Int64": ("<i8", pd.arrays.IntegerArray),
    "Float64": ("<f8", pd.arrays.FloatingArray),
    "boolean": ("|b1", pd.arrays.BooleanArray),
}


def _encode(column: pd.Series[Any], dtype: str) -> tuple[str, list[Part]]:
    """The encoding of a column, and its parts."""
    if dtype in _NUMBERS:
        missing = column.isna().to_numpy()
        values = column.to_numpy(dtype=_NUMBERS[dtype][0], na_value=0)
        return dtype, [[values], [missing]] if missing.any() else [[values]]
    if dtype == TIME:
        return dtype, [[column.dt.tz_localize(None).to_numpy("datetime64[us]").view("<i8")]]
    if dtype in CATEGORIES:
        return dtype, [[column.cat.codes.to_numpy(np.int8)]]
    if dtype == "object":
        texts = [None if value is None else json.dumps(value) for value in column]
        return dtype, _text_parts(pd.Series(texts, dtype="string"))
    if column.iloc[:_SAMPLE_ROWS].nunique() <= _MAX_SHARE * min(len(column), _SAMPLE_ROWS):
        codes, distinct = pd.factorize(column)
        return "few strings", [[codes.astype("<i4")], *_text_parts(pd.Series(distinct))]
    return dtype, _text_parts(column)


def _decode(dtype: str, parts: list[Buffer], n_rows: int) -> Any:
    if dtype in _NUMBERS:
        format_, array_type = _NUMBERS[dtype]
        values = parts[0].view(format_)
        missing = parts[1].view(bool) if len(parts) > 1 else np.zeros(n_rows, bool)
        return array_type(values, missing)
    if dtype == TIME:
        return pd.Series(parts[0].view("datetime64[us]"), copy=False).dt.tz_localize("UTC")
    if dtype in CATEGORIES:
        words = pd.CategoricalDtype(list(CATEGORIES[dtype]), ordered=True)
        return pd.Categorical.from_codes(parts[0].view(np.int8), dtype=words)
    if dtype == "object":
        texts = [None if text is pd.NA else json.loads(text) for text in _texts(parts)]
        return pd.Series(texts, dtype="object")
    if dtype == "few strings":
        return _texts(parts[1:]).take(parts[0].view("<i4"), allow_fill=True)
    return _texts(parts)


# Texts: the end of each, which are missing, and their UTF-8 in a row.


def _text_parts(column: pd.Series[Any]) -> list[Part]:
    if column.dtype.storage == "pyarrow":  # type: ignore[union-attr]
        return _arrow_parts(column)
    missing = column.isna().to_numpy()
    texts = [text.encode() for text in column.fillna("")]
    ends = np.cumsum([len(text) for text in texts], dtype="<i8") if texts else np.empty(0, "<i8")
    return [[ends], [missing], [_bytes(b"".join(texts))]]


def _arrow_parts(column: pd.Series[Any]) -> list[Part]:
    import pyarrow as pa

    arrow = column.array.__arrow_array__()
    ends, texts, n_bytes = [], [], 0
    for chunk in arrow.chunks if isinstance(arrow, pa.ChunkedArray) else [arrow]:
        if not len(chunk):
            continue
        _, offsets, data = chunk.cast(pa.large_string()).buffers()
        limits = np.frombuffer(offsets, "<i8")[chunk.offset : chunk.offset + len(chunk) + 1]
        ends.append(limits[1:] - (limits[0] - n_bytes))
        if data is not None:
            texts.append(np.frombuffer(data, np.uint8)[limits[0] : limits[-1]])
        n_bytes += int(limits[-1] - limits[0])
    return [ends, [column.isna().to_numpy()], texts]


def _texts(parts: list[Buffer]) -> Any:
    ends, missing, data = parts[0].view("<i8"), parts[1].view(bool), parts[2]
    starts = np.concatenate([np.zeros(1, "<i8"), ends])
    if (np.diff(starts) < 0).any() or starts[-1] != len(data):
        raise ValueError("texts that overlap")
    dtype = pd.StringDtype()
    if dtype.storage == "pyarrow":
        return pd.array(_arrow_texts(starts, missing, data), dtype=dtype)
    utf8 = data.tobytes()
    limits = pairwise(starts.tolist())
    texts = np.array([str(utf8[a:b], "utf-8") for a, b in limits], dtype=object)
    texts[missing] = pd.NA
    return pd.array(texts, dtype=dtype)


def _arrow_texts(starts: Buffer, missing: Buffer, data: Buffer) -> Any:
    import pyarrow as pa

    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.LargeStringArray.from_buffers(
        len(missing), pa.py_buffer(starts), pa.py_buffer(data), valid
    )
