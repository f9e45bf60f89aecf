"""What of a task must come home from a node: written as a tar stream to a spool of its own.

Transcripts grow: a member holds what was added, and says in a header from which byte on.
"""

from __future__ import annotations

import io
import os
import tarfile
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: The name of that header.
OFFSET = "CPR.offset"


class Outbox:
    """Writes the members.

    Args:
        path: The spool.
    """

    def __init__(self, path: str) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "ab")
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, data: bytes, offset: int = 0) -> None:
        """Adds a member, so that the hub can have it at once.

        Args:
            name: Its name.
            data: Its bytes.
            offset: Where in the file at home they belong; what follows there goes.
        """
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.pax_headers = {OFFSET: str(offset)}
        self._tar.addfile(member, io.BytesIO(data))
        self._file.flush()

    def add_file(self, name: str, path: str) -> None:
        """Adds a whole file; it does not matter if there is none."""
        try:
            with open(path, "rb") as file:
                self.add(name, file.read())
        except FileNotFoundError:
            pass

    def close(self) -> None:
        """Ends the stream."""
        self._tar.close()
        self._file.close()


class Transcripts:
    """The transcripts of a task's conversation on this node, and what of them is on its way.

    Args:
        folder: The folder in which the CLI keeps them.
        conversation_id: The conversation; empty for all that change from now on, None for none.
        since_ns: When that is.
    """

    def __init__(self, folder: str, conversation_id: str | None, since_ns: int) -> None:
        self._folder, self._id, self._since_ns = folder, conversation_id, since_ns
        self._sent: dict[str, tuple[int, int]] = {}  # name → size, checksum
        self._seen: dict[str, tuple[int, int]] = {}  # name → size, time of change

    def ship(self, outbox: Outbox) -> None:
        """Ships what has changed."""
        for name, path in self._files():
            try:
                status = os.stat(path, follow_symlinks=False)
                state = status.st_size, status.st_mtime_ns
                if self._seen.get(name) != state:
                    self._seen[name] = state
                    self._ship(outbox, name, path)
            except OSError:
                continue  # the CLI has removed it

    def _ship(self, outbox: Outbox, name: str, path: str) -> None:
        with open(path, "rb") as file:
            data = file.read()
        size, checksum = self._sent.get(name, (0, 0))
        if len(data) < size or zlib.crc32(data[:size]) != checksum:
            size = 0  # it was written anew
        if len(data) > size or not size:
            outbox.add(f"transcripts/{name}", data[size:], size)
        self._sent[name] = len(data), zlib.crc32(data)

    def _files(self) -> Iterator[tuple[str, str]]:
        """The names and paths of all files of the conversation."""
        for entry in _entries(self._folder):
            stem = entry.name.removesuffix(".jsonl")
            if self._id not in ("", stem):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, f"{entry.name}/")
            elif entry.name != stem and (self._id or self._is_new(entry)):
                yield entry.name, entry.path

    def _is_new(self, entry: os.DirEntry[str]) -> bool:
        return entry.stat(follow_symlinks=False).st_mtime_ns >= self._since_ns


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scan:
            return sorted(scan, key=lambda entry: entry.name)
    except OSError:
        return []


def _files_below(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield f"{prefix}{entry.name}", entry.path
