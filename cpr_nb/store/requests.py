"""Requests that interfaces leave for the runner."""

from __future__ import annotations

import os

from cpr_nb.store import layout
from cpr_nb.store.layout import SessionPaths

# Requesting one of these withdraws the other.
_OPPOSITE = {layout.PAUSE: layout.RESUME, layout.RESUME: layout.PAUSE}
_LONGEST_BYTES = 64


def leave(paths: SessionPaths, name: str, value: str = "") -> None:
    """Leaves a request for the session's runner.

    Args:
        paths: The session's paths.
        name: The request, such as ``cancel``; leaving it twice has no further effect.
        value: Its value, such as the number of ``max-parallel``.

    Raises:
        OSError: If the folder can't be written.
    """
    hidden = paths.request(f".{name[:100]}.{os.getpid()}")  # the runner ignores such names
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(value)
    os.replace(hidden, paths.request(name))
    if name in _OPPOSITE:
        remove(paths, _OPPOSITE[name])


def read_value(paths: SessionPaths, name: str) -> str:
    """The value of a request; empty if it has none, or can't be read."""
    try:
        fd = os.open(paths.request(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(fd, _LONGEST_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def remove(paths: SessionPaths, name: str) -> None:
    """Removes a request; it need not exist."""
    try:
        os.unlink(paths.request(name))
    except OSError:
        pass


def cancel_name(task_id: str | None) -> str:
    """The request to cancel a task, or the session."""
    return layout.CANCEL if task_id is None else layout.CANCEL_TASK_PREFIX + task_id
