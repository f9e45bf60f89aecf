"""Writes what must not be lost, in order, and keeps it while it can't be written.

A disk may be full or read-only for a while. What could not be written waits here, in order: a
task's end is not journalled before its answer is written.
"""

from __future__ import annotations

import errno
import os
import sys

from cpr_nb.model.text import one_line
from cpr_nb.runner.builtin import deque
from cpr_nb.store.write import open_append

#: Errors that pass when there is room again, or the disk is writable again.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class JournalWriter:
    """Writes a session's journal and its answers.

    Args:
        journal_path: The journal, which is appended to. A torn last line is ended first.

    Example:
        >>> writer = JournalWriter("/dev/null")
        >>> writer.journal(b"{}")
        >>> writer.trouble
        ''
    """

    def __init__(self, journal_path: str) -> None:
        self._path = journal_path
        self._fd = open_append(journal_path)
        self._backlog: deque[tuple[str, bytes]] = deque()  # ("" for the journal, or a path; data)
        self.trouble = ""  # why nothing can be written just now
        if not _ends_a_line(journal_path):
            self.journal(b"")

    def journal(self, line: bytes) -> None:
        """Appends a line."""
        self._put("", line + b"\n")

    def answer(self, path: str, text: bytes) -> None:
        """Writes a whole file."""
        self._put(path, text)

    def _put(self, path: str, data: bytes) -> None:
        self._backlog.append((path, data))
        if not self.trouble:
            self.retry()

    def retry(self) -> None:
        """Writes what waits, as far as possible."""
        while self._backlog:
            path, data = self._backlog[0]
            try:
                if path:
                    _write_file(path, data)
                else:
                    # Part of a line may have been written: the rest must follow.
                    while data:
                        data = data[os.write(self._fd, data) :]
                        self._backlog[0] = (path, data)
            except OSError as error:
                if not path or error.errno in DISK_ERRORS:
                    self.failed(error)
                    return
                # Something else is where the answer belongs. The stream has the answer too, so
                # the other tasks need not wait.
                print(f"{path}: {error}", file=sys.stderr, flush=True)
            self._backlog.popleft()
        self.trouble = ""

    def failed(self, error: OSError) -> None:
        """Remembers why something could not be written."""
        self.trouble = one_line(error.strerror or str(error))

    def renew(self) -> None:
        """Begins a new journal if someone removed the old one."""
        try:
            if os.fstat(self._fd).st_nlink == 0:
                new = open_append(self._path)
                os.close(self._fd)
                self._fd = new
        except OSError as error:
            self.failed(error)


def _write_file(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _ends_a_line(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.seek(max(0, size_bytes - 1))
            return file.read(1) in (b"", b"\n")
    except OSError:
        return True
