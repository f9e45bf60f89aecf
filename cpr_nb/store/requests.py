"""Requests that interfaces leave for the runner: small files in a folder that is given to it.

A runner with a state directory reads them there, where agents can't write; see
`cpr_nb.store.request_folder`.
"""

from __future__ import annotations

import os

from cpr_nb.store import layout
from cpr_nb.store.files import is_shared, share_lock

# Requesting one of these withdraws the other.
_OPPOSITE = {layout.PAUSE: layout.RESUME, layout.RESUME: layout.PAUSE}
_LONGEST_BYTES = 64
#: The longest text that is said to an agent, in UTF-8.
MAX_TEXT_BYTES = 200_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def leave(folder: str, name: str, value: str = "") -> None:
    """Leaves a request for the session's runner.

    Args:
        folder: Where the runner looks for requests; no link is followed.
        name: The request, such as ``cancel``; leaving it twice has no further effect.
        value: Its value, such as the number of ``max-parallel``.

    Raises:
        OSError: If the folder can't be written.
    """
    hidden = f".{name[:100]}.{os.getpid()}"  # the runner ignores such names
    folder_fd = os.open(folder, _FOLDER)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        fd = os.open(hidden, flags, 0o600, dir_fd=folder_fd)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(value)
        os.replace(hidden, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    finally:
        os.close(folder_fd)
    if name in _OPPOSITE:
        remove(folder, _OPPOSITE[name])


def show_reader(folder: str) -> None:
    """Has a folder show that its requests are read, for as long as this process lives.

    Args:
        folder: The folder; it carries a lock from now on, unless it was removed.
    """
    try:
        share_lock(os.open(folder, _FOLDER))
    except OSError:
        pass


def has_reader(folder: str) -> bool:
    """Whether a process lives that reads the requests in a folder: see `show_reader`."""
    try:
        fd = os.open(folder, _FOLDER)
    except OSError:
        return False
    try:
        return is_shared(fd)
    finally:
        os.close(fd)


def read_value(folder: str, name: str) -> str:
    """The value of a request; empty if it has none, or can't be read."""
    return _read(folder, name, _LONGEST_BYTES).decode("ascii", "replace").strip()


def read_text(folder: str, name: str) -> str:
    """The text that a request brings to an agent; empty if it has none, or can't be read."""
    return _read(folder, name, MAX_TEXT_BYTES).decode("utf-8", "replace")


def _read(folder: str, name: str, n_bytes: int) -> bytes:
    try:
        fd = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(fd, n_bytes)
    except OSError:
        return b""
    finally:
        os.close(fd)


def remove(folder: str, name: str) -> None:
    """Removes a request; it need not exist."""
    try:
        os.unlink(f"{folder}/{name}")
    except OSError:
        pass


def remove_folder(folder: str, *, with_requests: bool) -> None:
    """Removes a folder of requests.

    Args:
        folder: The folder; it need not exist.
        with_requests: Whether nobody has a use any more for what lies there.
    """
    try:
        for name in os.listdir(folder) if with_requests else ():
            remove(folder, name)
        os.rmdir(folder)
    except OSError:
        pass


def say_name(task_id: str, moment_ns: int) -> str:
    """The request to say something to a task; what was said first is read first."""
    return f"{layout.SAY_PREFIX}{task_id}@{moment_ns:020}"


def cancel_name(task_id: str | None) -> str:
    """The request to cancel a task, or the session."""
    return layout.CANCEL if task_id is None else layout.CANCEL_TASK_PREFIX + task_id
