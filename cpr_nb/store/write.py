"""Writes a session's folder: a launch creates it, its runner writes everything else."""

from __future__ import annotations

import json
import os
from array import array

from cpr_nb.model import record
from cpr_nb.store import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
_DUMPS = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dump(value: object) -> bytes:
    """Compact JSON as UTF-8. Invalid Unicode (a lone surrogate) is escaped, never lost."""
    text = _DUMPS(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
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
        self._base_sizes = array("I")
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


def create_session(
    results_dir: str,
    session_id: str,
    spec: dict[str, Any],
    tasks: list[dict[str, Any]],
    head: dict[str, Any],
    frame: dict[str, Any] | None = None,
) -> tuple[layout.SessionPaths, int]:
    """Creates a session's folder, complete and durable, and holds its lock.

    The folder gets its name only when everything is in it. The runner inherits the lock's
    descriptor, so someone holds the lock at every moment.

    Args:
        results_dir: The results directory; created if it is missing.
        session_id: The session's id.
        spec: The spec without its tasks.
        tasks: One object per task: id, prompt, options.
        head: The head of the first status.json.
        frame: The frame that the tasks were made from, if there is one.

    Returns:
        The session's paths, and the descriptor that holds the lock.

    Raises:
        ResultsDirError: If something can't be written; nothing is left behind.
    """
    new = layout.SessionPaths(f"{results_dir}/{layout.NEW_PREFIX}{session_id}")
    final = layout.SessionPaths(f"{results_dir}/{layout.SESSION_PREFIX}{session_id}")
    created, lock_fd = new, -1
    try:
        make_results_dir(results_dir)
        os.mkdir(new.root, 0o700)
        os.mkdir(new.requests, 0o700)
        lock_fd = hold_lock(new.lock)
        write_new(new.session, b"".join(_session_pieces(spec, tasks)), durable=True)
        if frame is not None:
            write_new(new.frame, dump(frame), durable=True)
        bases = (
            record.base_fields(number, task["id"], task["prompt"])
            for number, task in enumerate(tasks, 1)
        )
        StatusWriter(new.status, head, bases).write(durable=True)
        _sync_dir(new.root)
        os.rename(new.root, final.root)
        created = final
        _sync_dir(results_dir)
    except BaseException as error:
        if lock_fd >= 0:
            os.close(lock_fd)
        remove_session(created)
        if not isinstance(error, OSError):  # such as Ctrl-C
            raise
        from cpr_nb.model.errors import ResultsDirError  # the runner has no use for it

        raise ResultsDirError(
            f"can't write to the results directory {results_dir}: {error.strerror or error}"
        ) from error
    return final, lock_fd


def remove_session(paths: layout.SessionPaths) -> None:
    """Removes the folder of a session that could not be started."""
    import shutil

    shutil.rmtree(paths.root, ignore_errors=True)


def _session_pieces(spec: dict[str, Any], tasks: list[dict[str, Any]]) -> Iterable[bytes]:
    """session.json, one line per task: the runner reads a prompt when the task starts."""
    yield dump(spec)[:-1] + b',\n"tasks":[\n'
    for number, task in enumerate(tasks, 1):
        yield dump(task) + (b",\n" if number < len(tasks) else b"\n]}\n")


def make_results_dir(results_dir: str) -> None:
    """Makes the results directory if it does not exist; git ignores a new one."""
    if os.path.isdir(results_dir):
        return
    os.makedirs(results_dir, 0o700, exist_ok=True)  # another launch may make it, too
    with open(f"{results_dir}/{layout.GITIGNORE}", "w", encoding="ascii") as file:
        file.write("*\n")


def hold_lock(path: str, *, new: bool = True) -> int:
    """Locks a session; only the holder of the lock may write to the session's folder.

    Args:
        path: The lock's file.
        new: Whether the file must not exist yet; otherwise it must exist.

    Returns:
        The descriptor that holds it.

    Raises:
        BlockingIOError: If someone else holds it.
        OSError: If it can't be opened.
    """
    import fcntl

    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _sync_dir(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
