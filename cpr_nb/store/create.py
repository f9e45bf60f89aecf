"""Makes a session's folder, complete and sealed, and takes its lock: what a launch does."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.model import record
from cpr_nb.model.errors import ResultsDirError
from cpr_nb.store import layout
from cpr_nb.store.digest import sha256_of_file
from cpr_nb.store.files import hold_lock
from cpr_nb.store.killed_launches import MOST_AT_A_LAUNCH, launching, remove_leftovers
from cpr_nb.store.seal import sealed
from cpr_nb.store.write import StatusWriter, dump, write_new

if TYPE_CHECKING:
    from collections.abc import Iterable


class NewSession(NamedTuple):
    """A session's folder that was just made.

    Args:
        paths: Its paths.
        lock_fd: The descriptor that holds its lock.
        sha256: The SHA-256 of its session.json.
    """

    paths: layout.SessionPaths
    lock_fd: int
    sha256: str


def create_session(
    results_dir: str,
    session_id: str,
    spec: dict[str, Any],
    tasks: list[dict[str, Any]],
    head: dict[str, Any],
    frame: dict[str, Any] | None = None,
    reused: list[dict[str, Any]] | None = None,
    *,
    key: bytes | None = None,
) -> NewSession:
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
        reused: The rows of the frame whose answers are those of earlier sessions.
        key: The user's key, which seals it; None if there is none.

    Returns:
        The folder; the caller closes the lock's descriptor.

    Raises:
        ResultsDirError: If something can't be written; nothing is left behind.
    """
    new = layout.SessionPaths(f"{results_dir}/{layout.NEW_PREFIX}{session_id}")
    final = layout.SessionPaths(f"{results_dir}/{layout.SESSION_PREFIX}{session_id}")
    created, lock_fd = new, -1
    try:
        make_results_dir(results_dir)
        remove_leftovers(results_dir, most=MOST_AT_A_LAUNCH)
        with launching(results_dir):
            os.mkdir(new.root, 0o700)
            lock_fd = hold_lock(new.lock)
        session_json = sealed(b"".join(_session_pieces(spec, tasks, reused)), key)
        write_new(new.session, session_json, durable=True)
        if frame is not None:
            write_new(new.frame, dump(frame), durable=True)
        StatusWriter(new.status, head, _bases(spec, tasks)).write(durable=True)
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
        raise ResultsDirError(
            f"can't write to the results directory {results_dir}: {error.strerror or error}"
        ) from error
    return NewSession(final, lock_fd, sha256_of_file(session_json).hexdigest())


def _bases(spec: dict[str, Any], tasks: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for number, task in enumerate(tasks, 1):
        yield record.launched_fields(number, task, spec["options"])


def remove_session(paths: layout.SessionPaths) -> None:
    """Removes the folder of a session that could not be started."""
    shutil.rmtree(paths.root, ignore_errors=True)


def _session_pieces(
    spec: dict[str, Any], tasks: list[dict[str, Any]], reused: list[dict[str, Any]] | None
) -> Iterable[bytes]:
    """session.json up to its seal; a line per task, since the runner reads a task at its start."""
    yield dump(spec)[:-1] + b',\n"tasks":[\n'
    for number, task in enumerate(tasks, 1):
        yield dump(task) + (b",\n" if number < len(tasks) else b"\n")
    yield b"],\n"
    if reused:  # after the tasks, so that the runner need not keep it
        yield b'"reused":' + dump(reused) + b",\n"


def make_results_dir(results_dir: str) -> None:
    """Makes the results directory if it does not exist; git ignores a new one."""
    if os.path.isdir(results_dir):
        return
    os.makedirs(results_dir, 0o700, exist_ok=True)  # another launch may make it, too
    # Others may read it as far as the umask allows; a loose umask lets nobody else write it.
    fd = os.open(f"{results_dir}/{layout.GITIGNORE}", os.O_WRONLY | os.O_CREAT, 0o644)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write("*\n")


def _sync_dir(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
