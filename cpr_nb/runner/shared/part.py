"""A task's part of a shared process's stream, copied into the task's own file.

The kernel copies where it can (``copy_file_range``), so no byte passes through the runner. Nothing
else writes the task's file, so it is opened without ``O_APPEND``, which the kernel's copy refuses.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_CHUNK_BYTES = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
# The kernel, or the file system, does not copy between these files.
_CANNOT = (errno.EINVAL, errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class Part:
    """One task's part of a process's stream.

    Args:
        source_fd: The process's file, open to read for as long as this copies from it.
        begin: Where the part begins in it, in bytes.
        task_path: The task's file, which must not exist.

    Raises:
        OSError: If the file can't be created.
    """

    __slots__ = ("_begin", "_fd", "_kernel_copies", "_path", "_source_fd", "size_bytes")

    def __init__(self, source_fd: int, begin: int, task_path: str) -> None:
        self._open(source_fd, begin, task_path, os.open(task_path, _NEW, 0o600), 0)

    @classmethod
    def resume(cls, source_fd: int, begin: int, end: int, task_path: str) -> Self:
        """Goes on with the file that an earlier runner has begun.

        What of it is not the beginning of the part is not kept: the file is written anew then.

        Args:
            source_fd: The process's file.
            begin: Where the part begins in it.
            end: Where the part ends, or behind what there is of it.
            task_path: The task's file; it need not exist.

        Raises:
            OSError: If the file can't be read or created.
        """
        part = cls.__new__(cls)
        fd = _open_begun(source_fd, begin, end, task_path)
        if fd < 0:
            fd = os.open(task_path, _NEW, 0o600)
        part._open(source_fd, begin, task_path, fd, os.fstat(fd).st_size)
        return part

    def _open(self, source_fd: int, begin: int, path: str, fd: int, size_bytes: int) -> None:
        self._source_fd, self._begin, self._path, self._fd = source_fd, begin, path, fd
        self.size_bytes = size_bytes
        self._kernel_copies = hasattr(os, "copy_file_range")

    def copy(self, until: int) -> None:
        """Appends what is new.

        Args:
            until: The end of what is to be in the file, as an offset in the process's file.

        Raises:
            OSError: If the disk is full, for instance. What was copied counts, and another call
                goes on behind it.
        """
        while (n_left := until - self._begin - self.size_bytes) > 0:
            n_copied = self._copy_some(min(n_left, _CHUNK_BYTES))
            if not n_copied:
                return  # someone has cut the process's file
            self.size_bytes += n_copied

    def _copy_some(self, n_bytes: int) -> int:
        offset = self._begin + self.size_bytes
        if self._kernel_copies:
            try:
                n_copied = os.copy_file_range(
                    self._source_fd, self._fd, n_bytes, offset, self.size_bytes
                )
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                n_copied = 0
            if n_copied:
                return n_copied
            self._kernel_copies = False
        data = os.pread(self._source_fd, n_bytes, offset)
        return os.pwrite(self._fd, data, self.size_bytes) if data else 0

    def finish(self) -> None:
        """Closes the task's file, which has all of its part; one that was removed is written again.

        Raises:
            OSError: If it can't be written again; another call tries again.
        """
        if self._fd >= 0 and not os.path.lexists(self._path):
            until, old_fd = self._begin + self.size_bytes, self._fd
            self._fd, self.size_bytes = os.open(self._path, _NEW, 0o600), 0
            os.close(old_fd)
            self.copy(until)
        self.close()

    def close(self) -> None:
        """Closes the task's file as it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_begun(source_fd: int, begin: int, end: int, path: str) -> int:
    """Opens a file that holds the beginning of a part; any other file is removed.

    Returns:
        Its descriptor; -1 if there is no such file.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return -1
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    else:
        if _is_begun(fd, source_fd, begin, end):
            return fd
        os.close(fd)
    os.unlink(path)
    return -1


def _is_begun(fd: int, source_fd: int, begin: int, end: int) -> bool:
    """Whether a file holds the beginning of a part, and no other name leads to it."""
    status = os.fstat(fd)
    is_own = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    if not is_own or status.st_size > end - begin:
        return False
    offset = 0
    while data := os.pread(fd, _CHUNK_BYTES, offset):
        if data != os.pread(source_fd, len(data), begin + offset):
            return False
        offset += len(data)
    return True
