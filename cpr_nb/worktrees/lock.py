"""Locks that all runners of a repository share."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from cpr_nb.model.errors import WorktreeError

#: Our own folder in a repository's common git directory.
FOLDER = "cpr"


def own_folder(common_dir: str) -> str:
    """Our own folder in a repository's git directory; made if it does not exist.

    Raises:
        WorktreeError: If it can't be made.
    """
    folder = f"{common_dir}/{FOLDER}"
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise WorktreeError(f"can't write to {common_dir}: {error.strerror}") from None
    return folder


@contextlib.contextmanager
def repository_lock(common_dir: str, name: str = "lock", *, wait: bool = True) -> Iterator[None]:
    """Holds a lock that every runner of this repository shares.

    The kernel releases it when its holder dies, so a killed runner blocks nobody.

    Args:
        common_dir: The git directory that all worktrees of the repository share.
        name: Which lock.
        wait: Whether to wait until it is free.

    Raises:
        BlockingIOError: If someone else holds it and ``wait`` is false.
        WorktreeError: If its file can't be opened.
    """
    path = f"{own_folder(common_dir)}/{name}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise WorktreeError(f"can't open {path}: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)
