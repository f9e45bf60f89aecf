"""Requests: what faces leave for the runner to do."""

from __future__ import annotations

import os

from cpr_nb.store import layout
from cpr_nb.store.layout import SessionPaths

# To ask for one of these takes the other back.
_OPPOSITE = {layout.PAUSE: layout.GO_ON, layout.GO_ON: layout.PAUSE}
_LONGEST_BYTES = 64


def leave(paths: SessionPaths, name: str, value: str = "") -> None:
    """Leaves a request for the session's runner.

    Args:
        paths: The session's paths.
        name: The request, such as ``cancel``; asking twice is asking once.
        value: What goes with it, such as the number of ``max-parallel``.

    Raises:
        OSError: If the folder can't be written.
    """
    hidden = paths.request(f".{name[:100]}.{os.getpid()}")  # the runner leaves such ones alone
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(value)
    os.replace(hidden, paths.request(name))
    if name in _OPPOSITE:
        remove(paths, _OPPOSITE[name])


def read_value(paths: SessionPaths, name: str) -> str:
    """What goes with a request; empty if nothing does, or it can't be read."""
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
    """Takes a request away; it need not be there."""
    try:
        os.unlink(paths.request(name))
    except OSError:
        pass


def cancel_name(task_id: str | None) -> str:
    """The request to cancel a task, or the session."""
    return layout.CANCEL if task_id is None else layout.CANCEL_TASK_PREFIX + task_id
