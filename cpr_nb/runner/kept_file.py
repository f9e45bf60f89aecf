"""A file that stays open while its task runs: if somebody removes it, nothing is lost."""

from __future__ import annotations

import os
import stat

from cpr_nb.runner import process
from cpr_nb.store.files import is_shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1 << 18
#: So many descriptors are left for everything else.
_SPARE = 64
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class KeptFile:
    """A file of a task that is needed when the task ends.

    Args:
        path: The file.
        pid: The process that writes it, as its stdout; 0 if there is none.

    Attributes:
        written_at_s: When it was last written, in seconds since the epoch, as `close` saw it.

    Example:
        >>> list(KeptFile("/dev/null").read_from(0))
        []
    """

    __slots__ = ("_fd", "_path", "_pid", "written_at_s")

    def __init__(self, path: str, pid: int = 0) -> None:
        self._path, self._pid, self._fd = path, pid, -1
        self.written_at_s: float | None = None
        try:
            self._release(self._open())
        except OSError:
            pass  # `read_from` tries again

    def __del__(self) -> None:
        if self._fd >= 0:  # of an attempt that nobody waits for any more
            os.close(self._fd)

    def read_from(self, offset: int) -> Iterator[bytes]:
        """Yields what was written from an offset on.

        Raises:
            OSError: If it can't be read.
        """
        fd = self._open()
        try:
            while chunk := os.pread(fd, _CHUNK_BYTES, offset):
                offset += len(chunk)
                yield chunk
        finally:
            self._release(fd)

    def is_shared(self) -> bool:
        """Whether a process still has it as its output: see `cpr_nb.store.files.share_lock`."""
        try:
            fd = self._open()
        except OSError:
            return False
        try:
            return is_shared(fd)
        finally:
            self._release(fd)

    def close(self) -> None:
        """Closes it; one that was removed meanwhile is written again.

        Raises:
            OSError: If it can't be read, or not be written again.
        """
        fd = self._open()
        try:
            status = os.fstat(fd)
            self.written_at_s = status.st_mtime
            if not os.path.lexists(self._path):
                _write_again(fd, self._path, status)
        finally:
            self._fd = -1
            os.close(fd)

    def _open(self) -> int:
        if self._fd >= 0:
            return self._fd
        try:
            return os.open(self._path, _READ)
        except FileNotFoundError:
            if self._pid > 0 and process.LINUX and process.sees_processes():
                return _open_stdout(self._pid)
            raise

    def _release(self, fd: int) -> None:
        """Keeps a descriptor, unless there are too few; then it is opened each time."""
        most = os.sysconf("SC_OPEN_MAX")
        if self._fd < 0 and (most < 0 or fd < most - _SPARE):
            self._fd = fd
        if fd != self._fd:
            os.close(fd)


def _open_stdout(pid: int) -> int:
    """Opens the file that a process writes its output to, though it has no name any more.

    Raises:
        OSError: If that can't be done, or it is no file.
    """
    fd = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(f"process {pid} writes to no file")
    return fd


def _write_again(fd: int, path: str, status: os.stat_result) -> None:
    """Writes a file that has no name any more under the name that it had."""
    new_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        offset = 0
        while chunk := os.pread(fd, _CHUNK_BYTES, offset):
            offset += len(chunk)
            while chunk:
                chunk = chunk[os.write(new_fd, chunk) :]
        os.utime(new_fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(new_fd)
