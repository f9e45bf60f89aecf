"""The parts of an Inspect log (``.eval``, a zip archive), read one at a time."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

#: The method that Inspect's own logs are packed with. Python's zipfile knows it from 3.14 on.
_ZSTANDARD = 93
_HEADER = struct.Struct("<26xHH")  # of a member: the lengths of its name and its further fields


class InspectArchive:
    """The members of a log.

    Args:
        path: The log.

    Raises:
        InputError: If it is no zip archive.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except Exception as error:  # of a damaged one: BadZipFile, NotImplementedError, …
            raise InputError(f"can't be read as a log of Inspect: {error}", path) from None
        self.names = list(dict.fromkeys(self._zip.namelist()))  # one that was written again: once

    def __enter__(self) -> InspectArchive:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._zip.close()

    def read(self, name: str) -> Any:
        """Reads a member.

        Args:
            name: Its name.

        Raises:
            InputError: If it can't be read.
        """
        try:
            info = self._zip.getinfo(name)
            if info.compress_type == _ZSTANDARD and not hasattr(zipfile, "ZIP_ZSTANDARD"):
                return self._read_zstandard(info)
            with self._zip.open(info) as member:
                return json.load(member)
        except InputError:
            raise
        except Exception as error:  # each unpacker has an error of its own, such as zlib.error
            raise InputError(f"{name} can't be read: {error}", self.path) from None

    def _read_zstandard(self, info: zipfile.ZipInfo) -> Any:
        with Path(self.path).open("rb") as file:
            file.seek(info.header_offset)
            name_bytes, more_bytes = _HEADER.unpack(file.read(_HEADER.size))
            file.seek(name_bytes + more_bytes, 1)
            with _decompressed(_Part(file, info.compress_size), self.path) as member:
                return json.load(member)


class _Part(io.RawIOBase):
    """The next bytes of a file, as a file of their own."""

    def __init__(self, file: IO[bytes], n_bytes: int) -> None:
        self._file = file
        self._left_bytes = n_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(min(len(buffer), self._left_bytes))
        buffer[: len(piece)] = piece
        self._left_bytes -= len(piece)
        return len(piece)


def _decompressed(part: _Part, path: str) -> IO[bytes]:
    """A file that is packed with Zstandard, unpacked while it is read.

    Raises:
        InputError: If nothing here can do that.
    """
    file: IO[bytes]
    with contextlib.suppress(ImportError):
        file = importlib.import_module("backports.zstd").ZstdFile(part)
        return file
    with contextlib.suppress(ImportError):
        unpacker = importlib.import_module("zstandard").ZstdDecompressor()
        file = unpacker.stream_reader(part, read_across_frames=True)
        return file
    words = "it is packed with Zstandard, which this Python can't unpack: `pip install zstandard`"
    raise InputError(f"{words}, use Python 3.14, or `inspect log convert --to json`", path)
