"""Caches in a results directory, which make a second read cheap: files that anyone may delete.

They never hold the only copy. A file that is missing, torn, foreign or of another version counts
as absent, and where nothing can be written everything works without caches.
"""

from __future__ import annotations

import os
import stat
import time

from cpr_nb.store.layout import CACHE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

#: Changes with every change of a file: inode, size, times in nanoseconds.
Signature = tuple[int, int, int, int]
#: The signature of a file that does not exist.
ABSENT = (0, 0, 0, 0)
#: A file that changed less than this ago may change again without its times showing it.
SETTLED_S = 2.0
_LEFT_AFTER_S = 3600.0
_UNUSED_AFTER_S = 30 * 86400.0
_TEMPORARY = ".new-"
_63_BITS = (1 << 63) - 1


def signatures(stats: Iterable[os.stat_result]) -> list[Signature]:
    """The signatures of files."""
    return [(s.st_ino & _63_BITS, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in stats]


def signatures_of(paths: Sequence[str], folder_fd: int | None = None) -> list[Signature]:
    """The signatures of the files at many paths: there may be 100,000.

    Args:
        paths: The paths.
        folder_fd: The open folder that relative paths begin at; that is faster.
    """
    read_stat = os.stat
    try:
        return signatures(read_stat(path, dir_fd=folder_fd) for path in paths)
    except (OSError, ValueError):  # one does not exist
        return [_signature_of(path, folder_fd) for path in paths]


def _signature_of(path: str, folder_fd: int | None = None) -> Signature:
    try:
        return signatures([os.stat(path, dir_fd=folder_fd)])[0]
    except (OSError, ValueError):
        return ABSENT


def now_ns() -> int:
    """The time of the files."""
    return time.time_ns()


def settled_before_ns(now_ns: int) -> int:
    """A file that changed before this has settled: a later change will show in its times.

    Args:
        now_ns: The time before the file was read, from `now_ns`.
    """
    return now_ns - int(SETTLED_S * 1e9)


def names(directory: str, begin: str) -> list[str]:
    """The names of the cache's files that begin with ``begin``."""
    if not _is_own_folder(f"{directory}/{CACHE}"):
        return []
    try:
        return sorted(name for name in os.listdir(f"{directory}/{CACHE}") if name.startswith(begin))
    except OSError:
        return []


def remove_old(directory: str, begin: str, but: str) -> None:
    """Removes files that a crash, or a version no longer in use, has left.

    Args:
        directory: The results directory.
        begin: How the names of the files begin.
        but: How the names of the files in use begin.
    """
    for name in names(directory, ""):
        left = name.startswith(_TEMPORARY)
        if left or (name.startswith(begin) and not name.startswith(but)):
            path = f"{directory}/{CACHE}/{name}"
            age_s = time.time() - _signature_of(path)[2] / 1e9
            if age_s > (_LEFT_AFTER_S if left else _UNUSED_AFTER_S):
                _unlink(path)


def user_folder(environ: Mapping[str, str]) -> str:
    """The folder of the user's caches.

    Example:
        >>> user_folder({"HOME": "/home/someone"})
        '/home/someone/.cache/cpr_nb'
    """
    # The specification of XDG: a path that is not absolute counts as none.
    named = environ.get("XDG_CACHE_HOME", "")
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(named if named.startswith("/") else f"{home}/.cache", "cpr_nb")


def make_user_folder(folder: str) -> bool:
    """Makes the folder of the user's caches; returns whether it is there."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError:
        return False
    return True


def open_own(directory: str, name: str) -> BinaryIO | None:
    """Opens a file of the cache; None if it does not exist, or is not a regular file of ours."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(f"{directory}/{CACHE}/{name}", flags)
    except OSError:
        return None
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
        return open(fd, "rb", buffering=0)
    os.close(fd)
    return None


def save(directory: str, name: str, pieces: Iterable[bytes | memoryview]) -> bool:
    """Writes a file of the cache, whole or not at all, readable only by its owner.

    Args:
        directory: The results directory.
        name: The file's name.
        pieces: Its bytes.

    Returns:
        Whether it was written; a cache that can't be written is not an error.
    """
    folder = f"{directory}/{CACHE}"
    temporary = f"{folder}/{_TEMPORARY}{os.getpid()}-{time.monotonic_ns()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        _make(folder)
        if not _is_own_folder(folder):
            return False
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.writelines(pieces)
        os.replace(temporary, f"{folder}/{name}")
    except OSError:
        _unlink(temporary)
        return False
    except BaseException:  # such as Ctrl-C
        _unlink(temporary)
        raise
    return True


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    with open(f"{folder}/.gitignore", "w", encoding="ascii") as file:
        file.write("*\n")  # so that it makes no checkout dirty


def remove(directory: str, name: str) -> None:
    """Removes a file of the cache."""
    if _is_own_folder(f"{directory}/{CACHE}"):
        _unlink(f"{directory}/{CACHE}/{name}")


def _is_own_folder(folder: str) -> bool:
    """Whether it is a folder of the user's: whoever made the results may have put a link there."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
