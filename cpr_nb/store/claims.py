"""Claims to a session whose runner can't be seen: files that only one of several can make.

A runner on another machine may still live when somebody takes its session over. So it looks for a
claim that is newer than its own, ends its tasks, and leaves. Nobody ever removes a claim that a
runner was started with.
"""

from __future__ import annotations

import os
import time

from cpr_nb.store.times import utc_iso
from cpr_nb.store.whereabouts import boot_id
from cpr_nb.store.write import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.layout import SessionPaths

#: How often a runner shows that it lives, by the time of its lock.
BEAT_S = 30.0
#: A session may be taken over when nothing was written for so long: longer than an agent is
#: silent that waits for a command (10 minutes at most, unless somebody raises that limit).
SILENCE_S = 900.0


def newest_claim(paths: SessionPaths) -> int:
    """The number of the newest claim; 0 if there is none.

    Args:
        paths: The session's paths.
    """
    number = 0
    while has_claim(paths, number + 1):
        number += 1
    return number


def has_claim(paths: SessionPaths, number: int) -> bool:
    """Whether there is a claim of this number."""
    return os.path.lexists(paths.claim(number))


def make_claim(paths: SessionPaths, number: int) -> None:
    """Makes a claim.

    Args:
        paths: The session's paths.
        number: Its number: one more than that of the newest.

    Raises:
        FileExistsError: If somebody else was faster.
        OSError: If it can't be made.
    """
    fd = os.open(paths.claim(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        who = {"at": utc_iso(time.time()), "host": os.uname().nodename, "boot_id": boot_id()}
        file.write(dump({**who, "pid": os.getpid()}) + b"\n")
        file.flush()
        os.fsync(fd)


def withdraw_claim(paths: SessionPaths, number: int) -> None:
    """Removes a claim with which no runner was started."""
    os.unlink(paths.claim(number))


def last_sign_s(paths: SessionPaths, streams: list[str]) -> float | None:
    """When something was last written in a session's folder, by the clock of its file system.

    Args:
        paths: The session's paths.
        streams: The streams of tasks that have not ended.

    Returns:
        Seconds since the epoch; None if nothing can be read.
    """
    claim = paths.claim(newest_claim(paths))
    files = [paths.lock, paths.status, paths.journal, paths.runner, claim, *streams]
    return max((at for path in files if (at := _written_at_s(path)) is not None), default=None)


def now_s(paths: SessionPaths) -> float:
    """The time by the clock of the file system, which may be that of another machine.

    Args:
        paths: The session's paths.

    Raises:
        OSError: If nothing can be written there.
    """
    path = paths.clock(f"{os.uname().nodename}-{os.getpid()}")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.utime(fd)
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
        os.unlink(path)


def _written_at_s(path: str) -> float | None:
    """When a file was written; it is opened, since a network file system then asks its server."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
