"""The session's folder, which is the runner's own working folder: it may be renamed and moved.

The runner reaches everything in it by a path that begins with ``.``. Whoever else is to find it
gets the path that it has now.
"""

from __future__ import annotations

import os

from cpr_nb.store.layout import SessionPaths

#: The folder, for this process alone.
HERE = "."


def enter(root: str, lock_fd: int) -> SessionPaths:
    """Makes a session's folder the working folder of this process.

    Args:
        root: The folder.
        lock_fd: The descriptor that holds its lock.

    Returns:
        Its paths, which stay true wherever it is moved.

    Raises:
        FileNotFoundError: If another folder has its name by now.
        OSError: If it can't be entered.
    """
    os.chdir(root)
    paths = SessionPaths(HERE)
    if not os.path.samestat(os.stat(paths.lock), os.fstat(lock_fd)):
        raise FileNotFoundError(f"{root} is not the folder whose lock was taken")
    return paths


def path_now(root: str) -> str:
    """The path by which others find the working folder of this process now.

    Args:
        root: The path that it had: kept while it leads there, since links may be in it.

    Raises:
        OSError: If the folder was removed.

    Example:
        >>> path_now(os.getcwd()) == path_now("/no/such/folder") == os.getcwd()
        True
    """
    try:
        if os.path.samestat(os.stat(root), os.stat(HERE)):
            return root
    except OSError:
        pass
    return os.getcwd()
