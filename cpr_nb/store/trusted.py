"""What the user trusts beyond what they launched themselves: a file that only grows.

A line says that something with this SHA-256 is trusted, or no longer. The last one counts. Where
there can be no state directory, trust ends with the process.
"""

from __future__ import annotations

import json
import os
import time

from cpr_nb.model.errors import StateDirError
from cpr_nb.store.state_dir import check_state_dir, make_state_dir, state_dir
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

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
    remember_all(kind, {sha256: name})


def remember_all(kind: str, names: Mapping[str, str]) -> None:
    """Trusts several things at once: the hash of each → its name; see `remember`.

    Raises:
        StateDirError: If they can't be written down.
    """
    _append(
        {"is_trusted": True, "kind": kind, "sha256": sha256, "name": name}
        for sha256, name in names.items()
    )


def forget(kind: str, sha256: str) -> None:
    """Trusts something no longer.

    Raises:
        StateDirError: If it can't be written down.
    """
    _append([{"is_trusted": False, "kind": kind, "sha256": sha256}])


def _path() -> str:
    return f"{state_dir()}/trusted"


# Path, device, inode, size and time of the file that was read last → its lines: of 20,000 sessions
# each is asked for.
_last: tuple[tuple[object, ...], list[dict[str, Any]]] = ((), [])


# What was trusted where there is no state directory.
_of_this_process: list[dict[str, Any]] = []


def _lines() -> list[dict[str, Any]]:
    global _last
    if not check_state_dir():
        return _of_this_process
    try:
        fd = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(fd, "rb") as file:
        stat = os.fstat(fd)
        if stat.st_uid != os.geteuid() or stat.st_mode & 0o022:
            raise StateDirError(f"can't use {_path()}: others may write to it (chmod 600)")
        signature = (_path(), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if signature != _last[0]:
            _last = (signature, _parse(file.read()))
    return _last[1]


def _parse(data: bytes) -> list[dict[str, Any]]:
    lines = []
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def _append(lines: Iterable[dict[str, Any]]) -> None:
    if not make_state_dir():
        _of_this_process.extend(lines)
        return
    at = utc_iso(time.time())
    data = b"".join(json.dumps({**line, "at": at}).encode() + b"\n" for line in lines)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        fd = os.open(_path(), flags, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # a torn line must not take ours along
                data = b"\n" + data
            if os.write(fd, data) != len(data):
                raise OSError(0, "the disk is full")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StateDirError(f"can't write {_path()}: {error.strerror}") from None
