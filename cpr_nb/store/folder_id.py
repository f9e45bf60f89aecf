"""The identity of a session's folder on the disk: a rename keeps it, a copy has another."""

from __future__ import annotations

import os

#: The field of runner.json that holds it.
FIELD = "folder_id"
_DIGITS = frozenset("0123456789abcdef")


def folder_id(path: str) -> str:
    """The identity of a folder: the numbers of its file system and of its inode.

    It is the same under every name, in every PID namespace and in every container of a machine.
    Another machine may have another number for a file system of the network.

    Args:
        path: The folder.

    Raises:
        OSError: If it is not there.

    Example:
        >>> folder_id("/") == folder_id("/tmp/..") != folder_id("/tmp")
        True
    """
    status = os.stat(path)
    return f"{status.st_dev:x}-{status.st_ino:x}"


def is_folder_id(value: object) -> bool:
    """Whether a value, which anybody may have written, has the form of such an identity."""
    parts = value.split("-") if isinstance(value, str) else []
    return len(parts) == 2 and all(part and _DIGITS.issuperset(part) for part in parts)
