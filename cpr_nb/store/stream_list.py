"""The streams that a session's folder holds."""

from __future__ import annotations

import os

from cpr_nb.store.layout import attempt_of


def list_streams(root: str) -> dict[str, list[int]]:
    """Lists the streams in a session's folder.

    Args:
        root: The folder.

    Returns:
        Task → the numbers of its attempts that have a stream, in order; empty if the folder can't
        be read.

    Example:
        >>> list_streams("/none/session-1")
        {}
    """
    streams: dict[str, list[int]] = {}
    try:
        names = os.listdir(root)
    except OSError:
        return streams
    for task_id, attempt in filter(None, map(attempt_of, names)):
        streams.setdefault(task_id, []).append(attempt)
    return {task_id: sorted(set(attempts)) for task_id, attempts in streams.items()}
