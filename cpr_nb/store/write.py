"""Writes the files of a session: whole or not at all, and private."""

from __future__ import annotations

import os

from cpr_nb.model import record
from cpr_nb.model.numbers import Numbers
from cpr_nb.model.quick_json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def dump(value: object) -> bytes:
    """Compact JSON as UTF-8. Invalid Unicode (a lone surrogate) is escaped, never lost."""
    text = dumps(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        import json  # only here

        return json.dumps(value, separators=(",", ":")).encode()


def write_new(path: str, data: bytes, *, durable: bool = False) -> None:
    """Replaces a file as a whole or not at all; only its owner can read it."""
    temporary = f"{path}.tmp"
    fd = os.open(temporary, _NEW_FILE, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(fd)
        os.replace(temporary, path)
    except OSError:
        _remove(temporary)
        raise


def open_append(path: str) -> int:
    """Opens a file to append to; only its owner can read it."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


class StatusWriter:
    r"""Keeps status.json: rewritten as a whole, atomically, from one cached piece per task.

    The first line is the head: a reader of many sessions needs only that. Each task has a line
    of its own.

    Args:
        path: The file.
        head: The head's fields, in order; the owner changes them in place.
        bases: The fields of each task that never change.

    Example:
        >>> writer = StatusWriter("/r/session-1/status.json", {}, [{"task_num": 1}])
        >>> writer.set_task(0, {"status": "pending"})
        >>> b"".join(writer.pieces())
        b'{\n"tasks":[\n{"task_num":1,"status":"pending"}\n]}\n'
    """

    def __init__(self, path: str, head: dict[str, Any], bases: Iterable[dict[str, Any]]) -> None:
        self._path = path
        self.head = head
        pending = dump(record.pending_fields())[1:]
        self._lines: list[bytes] = []
        self._base_sizes = Numbers()
        for base in bases:
            line = dump(base)[:-1]
            self._base_sizes.append(len(line))
            self._lines.append(line + b"," + pending)

    @property
    def n_tasks(self) -> int:
        """The number of tasks."""
        return len(self._lines)

    def set_task(self, task: int, fields: dict[str, Any]) -> None:
        """Replaces the changing fields of task number ``task`` (from 0)."""
        base = self._lines[task][: self._base_sizes[task]]
        self._lines[task] = base + b"," + dump(fields)[1:]

    def base(self, task: int) -> dict[str, Any]:
        """The fields of task number ``task`` (from 0) that never change."""
        fields: dict[str, Any] = loads(self._lines[task][: self._base_sizes[task]] + b"}")
        return fields

    def pieces(self) -> Iterable[bytes]:
        """The file's bytes."""
        head = dump(self.head)[:-1]
        yield head + (b',\n"tasks":[\n' if self.head else b'\n"tasks":[\n')
        last = len(self._lines) - 1
        for number, line in enumerate(self._lines):
            yield line + b",\n" if number < last else line
        yield b"\n]}\n"

    def write(self, *, durable: bool = False) -> None:
        """Writes the file; if ``durable``, it is on the disk when this returns."""
        temporary = f"{self._path}.tmp"
        fd = os.open(temporary, _NEW_FILE, 0o600)
        try:
            with os.fdopen(fd, "wb", buffering=65536) as file:
                file.writelines(self.pieces())
                if durable:
                    file.flush()
                    os.fsync(fd)
            os.replace(temporary, self._path)
        except OSError:
            _remove(temporary)  # on a full disk it takes space that others need
            raise
