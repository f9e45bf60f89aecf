"""The folder of a node agent on its machine's own disk: its lock, and the spools of what runs."""

from __future__ import annotations

import fcntl
import os
import time

from cpr_nb.model.digest import sha256

#: A node with less room takes no tasks: what they write would be lost.
LEAST_FREE_BYTES = 16 << 20
#: A node agent that has just begun may not have its lock yet, and must get it.
_OLD_S = 24 * 3600


class NodePlace:
    """A folder for one session and node name; one process at a time has it.

    Args:
        session_id: The session.
        name: The node's name.

    Attributes:
        folder: The folder.

    Raises:
        BlockingIOError: If another node agent serves the session by this name on this machine.
        PermissionError: If the folder belongs to somebody else.
    """

    __slots__ = ("_lock_fd", "folder")

    def __init__(self, session_id: str, name: str) -> None:
        base = f"{os.environ.get('TMPDIR') or '/tmp'}/cpr-nodes-{os.geteuid()}"  # noqa: S108
        os.makedirs(base, mode=0o700, exist_ok=True)
        if os.stat(base, follow_symlinks=False).st_uid != os.geteuid():
            raise PermissionError(f"{base} belongs to another user")
        self.folder = f"{base}/{sha256(f'{session_id} {name}'.encode()).hexdigest()[:24]}"
        _remove_old(base)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self._lock_fd = os.open(f"{self.folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            raise
        self.clear()

    def clear(self) -> None:
        """Removes the spools in it, which nobody needs any more."""
        _clear(self.folder)

    def let_go(self) -> None:
        """Closes the lock here; whoever else has its descriptor keeps it."""
        os.close(self._lock_fd)

    def remove(self) -> None:
        """Removes the folder."""
        self.clear()
        os.unlink(f"{self.folder}/lock")
        os.rmdir(self.folder)
        os.close(self._lock_fd)


def _clear(folder: str) -> None:
    """Removes all that is in a folder but its lock."""
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if os.path.isdir(path):
            import shutil  # only where there were checkouts

            shutil.rmtree(path, ignore_errors=True)
        elif name != "lock":
            os.unlink(path)


def _remove_old(base: str) -> None:
    """Removes what node agents have left whose machine has lost its power: they hold no lock."""
    for name in os.listdir(base):
        folder = f"{base}/{name}"
        try:
            if time.time() - os.stat(f"{folder}/lock").st_mtime < _OLD_S:
                continue
            with open(f"{folder}/lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(folder)
                os.unlink(f"{folder}/lock")
                os.rmdir(folder)
        except OSError:
            continue  # it has no lock, or its node agent lives


def lacks_room(folder: str) -> str:
    """Why nothing can run that writes into a folder; empty if there is room.

    Args:
        folder: The folder of a node agent.

    Example:
        >>> lacks_room("/no/such/folder")
        ''
    """
    try:
        disk = os.statvfs(folder)
    except OSError:
        return ""
    if disk.f_bavail * disk.f_frsize >= LEAST_FREE_BYTES:
        return ""
    base = os.path.dirname(folder)
    return f"its disk is full: it needs {LEAST_FREE_BYTES >> 20} MB in {base} (in TMPDIR, if set)"
