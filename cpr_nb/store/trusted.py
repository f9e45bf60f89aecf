"""What the user trusts beyond what they launched themselves: a file that only grows.

A line says that something with this SHA-256 is trusted, or no longer. The last one counts.
"""

from __future__ import annotations

import json
import os
import time

from cpr_nb.model.errors import StateDirError
from cpr_nb.store.state_dir import check_state_dir, make_state_dir, state_dir
from cpr_nb.store.times import utc_iso

#: The kinds of things that can be trusted.
SESSION = "session"
REPOSITORY = "repository"


def is_trusted(kind: str, sha256: str) -> bool:
    """Whether something is trusted.

    Args:
        kind: `SESSION` or `REPOSITORY`.
        sha256: The hash of what it could cause.
    """
    return sha256 in trusted(kind)


def trusted(kind: str) -> dict[str, str]:
    """Everything of a kind that is trusted: its hash → its name."""
    names: dict[str, str] = {}
    for line in _lines():
        sha256 = line.get("sha256")
        if line.get("kind") != kind or not isinstance(sha256, str):
            continue
        if line.get("is_trusted") is True:
            names[sha256] = str(line.get("name"))
        else:
            names.pop(sha256, None)
    return names


def remember(kind: str, sha256: str, name: str) -> None:
    """Trusts something.

    Args:
        kind: `SESSION` or `REPOSITORY`.
        sha256: The hash of what it could cause.
        name: The id of the session, or the repository's top folder.

    Raises:
        StateDirError: If it can't be written down.
    """
    _append({"is_trusted": True, "kind": kind, "sha256": sha256, "name": name})


def forget(kind: str, sha256: str) -> None:
    """Trusts something no longer.

    Raises:
        StateDirError: If it can't be written down.
    """
    _append({"is_trusted": False, "kind": kind, "sha256": sha256})


def _path() -> str:
    return f"{state_dir()}/trusted"


def _lines() -> list[dict[str, object]]:
    if not check_state_dir():
        return []
    try:
        fd = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_uid != os.geteuid() or os.fstat(fd).st_mode & 0o022:
            raise StateDirError(f"can't use {_path()}: others may write to it (chmod 600)")
        lines = []
        for data in file:
            try:
                line = json.loads(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                lines.append(line)
    return lines


def _append(line: dict[str, object]) -> None:
    data = json.dumps({**line, "at": utc_iso(time.time())}).encode() + b"\n"
    try:
        if not make_state_dir():
            raise OSError(0, "there is no state directory")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        fd = os.open(_path(), flags, 0o600)
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StateDirError(f"can't write {_path()}: {error.strerror}") from None
