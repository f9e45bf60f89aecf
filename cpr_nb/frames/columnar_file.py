"""A file of tables: columns as the bytes that they are made of, so that nothing is parsed.

It is as good with pyarrow as without. No byte is believed before its checksum was right.
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
Part = list[Buffer]  # what stands one after the other in the file

_MAGIC = b"cpr_nb pack 1\n"
_HEAD_BYTES = 64  # magic, size and checksum of the description
_ALIGNED_BYTES = 64
# A column of texts in which few of the first are different is kept as a list of these texts.
_SAMPLE_ROWS = 1024
_MAX_SHARE = 0.25


class _Section(msgspec.Struct):
    """Where a table is: its rows, and dtype and parts of each column; parts are sizes."""

    n_rows: int
    n_bytes: int
    crc: int
    columns: dict[str, tuple[str, list[int]]]


class _Description(msgspec.Struct):
    kind: str
    sections: dict[str, _Section]


class Pack(NamedTuple):
    """A file of tables that was opened.

    Args:
        file: The file.
        sections: What is in it, and where.
    """

    file: BinaryIO
    sections: dict[str, tuple[int, _Section]]

    def read(self, name: str) -> pd.DataFrame:
        """One of its tables.

        Raises:
            ValueError: If it is not what was written.
            OSError: If it can't be read.
        """
        start, section = self.sections[name]
        data = _read_at(self.file, start, section.n_bytes)
        if zlib.crc32(data) != section.crc:
            raise ValueError("a wrong checksum")
        made, at = {}, 0
        for column, (dtype, sizes) in section.columns.items():
            parts = []
            for size in sizes:
                parts.append(data[at : at + size])
                at += _aligned(size)
            made[column] = _decode(dtype, parts, section.n_rows)
        return pd.DataFrame(made, copy=False)


def pack(kind: str, tables: Mapping[str, tuple[pd.DataFrame, Mapping[str, str]]]) -> list[Buffer]:
    """The bytes of a file.

    Args:
        kind: What tables they are: whoever opens it must say the same.
        tables: Name → the table, and the dtypes of its columns.
    """
    sections, body = {}, []
    for name, (table, dtypes) in tables.items():
        columns, buffers = {}, []
        for column, dtype in dtypes.items():
            how, parts = _encode(table[column], dtype)
            columns[column] = (how, [_size(part) for part in parts])
            for part in parts:
                buffers += _padded(part)
        crc = 0
        for buffer in buffers:
            crc = zlib.crc32(buffer, crc)
        n_bytes = sum(buffer.nbytes for buffer in buffers)
        sections[name] = _Section(len(table), n_bytes, crc, columns)
        body += buffers
    told = msgspec.json.encode(_Description(kind, sections))
    head = _MAGIC + f"{len(told)} {zlib.crc32(told)}\n".encode()
    return [_bytes(head.ljust(_HEAD_BYTES)), *_padded([_bytes(told)]), *body]


def open_pack(file: BinaryIO, kind: str) -> Pack:
    """Opens a file of tables.

    Raises:
        ValueError: If it is none, or of another kind, or not as it was written.
        OSError: If it can't be read.
    """
    head = bytes(_read_at(file, 0, _HEAD_BYTES))
    numbers = head.removeprefix(_MAGIC).split()
    if not head.startswith(_MAGIC) or len(numbers) != 2:
        raise ValueError("not a pack")
    size, crc = map(int, numbers)
    told = bytes(_read_at(file, _HEAD_BYTES, size))
    if zlib.crc32(told) != crc:
        raise ValueError("a wrong checksum")
    description = msgspec.json.decode(told, type=_Description)
    if description.kind != kind:
        raise ValueError("of another kind")
    sections, at = {}, _HEAD_BYTES + _aligned(size)
    for name, section in description.sections.items():
        sections[name] = (at, section)
        at += section.n_bytes
    return Pack(file, sections)


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
    """How a column is kept, and its parts."""
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
        codes, known = pd.factorize(column)
        return "few strings", [[codes.astype("<i4")], *_text_parts(pd.Series(known))]
    return dtype, _text_parts(column)


def _decode(dtype: str, parts: list[Buffer], n_rows: int) -> Any:
    if dtype in _NUMBERS:
        form, make = _NUMBERS[dtype]
        values = parts[0].view(form)
        missing = parts[1].view(bool) if len(parts) > 1 else np.zeros(n_rows, bool)
        return make(values, missing)
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


# Texts: where each ends, which are missing, and their UTF-8 one after the other.


def _text_parts(column: pd.Series[Any]) -> list[Part]:
    if column.dtype.storage == "pyarrow":  # type: ignore[union-attr]
        return _arrow_parts(column)
    missing = column.isna().to_numpy()
    texts = [text.encode() for text in column.fillna("")]
    ends = np.cumsum([len(text) for text in texts], dtype="<i8") if texts else np.empty(0, "<i8")
    return [[ends], [missing], [_bytes(b"".join(texts))]]


def _arrow_parts(column: pd.Series[Any]) -> list[Part]:
    import pyarrow as pa

    found = column.array.__arrow_array__()
    ends, texts, n_bytes = [], [], 0
    for chunk in found.chunks if isinstance(found, pa.ChunkedArray) else [found]:
        if not len(chunk):
            continue
        _, offsets, data = chunk.cast(pa.large_string()).buffers()
        at = np.frombuffer(offsets, "<i8")[chunk.offset : chunk.offset + len(chunk) + 1]
        ends.append(at[1:] - (at[0] - n_bytes))
        if data is not None:
            texts.append(np.frombuffer(data, np.uint8)[at[0] : at[-1]])
        n_bytes += int(at[-1] - at[0])
    return [ends, [column.isna().to_numpy()], texts]


def _texts(parts: list[Buffer]) -> Any:
    ends, missing, data = parts[0].view("<i8"), parts[1].view(bool), parts[2]
    starts = np.concatenate([np.zeros(1, "<i8"), ends])
    if (np.diff(starts) < 0).any() or starts[-1] != len(data):
        raise ValueError("texts that overlap")
    dtype = pd.StringDtype()
    if dtype.storage == "pyarrow":
        return pd.array(_arrow_texts(starts, missing, data), dtype=dtype)
    whole, at = data.tobytes(), starts.tolist()
    texts: list[Any] = [str(whole[a:b], "utf-8") for a, b in pairwise(at)]
    made = np.array(texts, dtype=object)
    made[missing] = pd.NA
    return pd.array(made, dtype=dtype)


def _arrow_texts(starts: Buffer, missing: Buffer, data: Buffer) -> Any:
    import pyarrow as pa

    there = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.LargeStringArray.from_buffers(
        len(missing), pa.py_buffer(starts), pa.py_buffer(data), there
    )
