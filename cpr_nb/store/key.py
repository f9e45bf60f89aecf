"""The user's key: what it has sealed was launched by this user, on this machine.

It never leaves the interfaces; no runner and no agent is given it.
"""

from __future__ import annotations

import os
import stat

from cpr_nb.model.errors import StateDirError
from cpr_nb.store.state_dir import check_state_dir, make_state_dir, state_dir

KEY_BYTES = 32


def read_key() -> bytes | None:
    """The key; None if there is none.

    Raises:
        StateDirError: If others may read it, or it is no key.
    """
    if not check_state_dir():
        return None
    path = _path()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateDirError(f"can't use the key {path}: {error.strerror}") from None
    try:
        problem = _problem(os.fstat(fd))
        key = b"" if problem else os.read(fd, KEY_BYTES)
    finally:
        os.close(fd)
    if problem or len(key) != KEY_BYTES:
        raise StateDirError(f"can't use the key {path}: {problem or 'it can not be read'}")
    return key


def own_key() -> bytes | None:
    """The key; made if there is none. None where there can be no state directory.

    Raises:
        StateDirError: If others may read it, or it is no key.
    """
    key = read_key()
    if key is not None or not make_state_dir():
        return key
    try:
        _make()
    except OSError:  # a full disk, or one that can only be read
        return None
    return read_key()


def key_made_ns() -> int | None:
    """When the key was made, in nanoseconds since 1970; None if there is none."""
    try:
        return os.lstat(_path()).st_mtime_ns
    except OSError:
        return None


def _path() -> str:
    return f"{state_dir()}/key"


def _problem(status: os.stat_result) -> str:
    """Why a file can't be the key; empty if it can."""
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return "it is no file of yours"
    if status.st_mode & 0o077:
        return "others may read it (chmod 600)"
    if status.st_size != KEY_BYTES:
        return f"it has {status.st_size} bytes, not {KEY_BYTES} (remove it, and a new one is made)"
    return ""


def _make() -> None:
    """Makes the key; of several who try at once, the first one's counts."""
    path = _path()
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(fd)
        try:
            os.link(temporary, path)  # unlike a rename, it never replaces a key
        except FileExistsError:
            pass
    finally:
        os.unlink(temporary)
