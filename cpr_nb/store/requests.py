"""Requests: what faces leave for the runner to do."""

from __future__ import annotations

import os

from cpr_nb.store import layout
from cpr_nb.store.layout import SessionPaths


def leave(paths: SessionPaths, name: str) -> None:
    """Leaves a request for the session's runner.

    Args:
        paths: The session's paths.
        name: The request, such as ``cancel``; asking twice is asking once.

    Raises:
        OSError: If the folder can't be written.
    """
    fd = os.open(paths.request(name), os.O_WRONLY | os.O_CREAT, 0o600)
    os.close(fd)


def cancel_name(task_id: str | None) -> str:
    """The request to cancel a task, or the session."""
    return layout.CANCEL if task_id is None else layout.CANCEL_TASK_PREFIX + task_id
