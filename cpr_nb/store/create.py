"""Makes a session's folder, complete and sealed, and takes its lock: what a launch does."""

from __future__ import annotations

import os

from cpr_nb.model import record
from cpr_nb.model.digest import sha256_of_file
from cpr_nb.model.errors import ResultsDirError
from cpr_nb.store import layout
from cpr_nb.store.files import hold_lock
from cpr_nb.store.killed_launches import MOST_AT_A_LAUNCH, launching, remove_leftovers
from cpr_nb.store.seal import sealed
from cpr_nb.store.write import StatusWriter, dump, write_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class NewSession:
    """A session's folder while it is made: locked from the start, and named once it is complete.

    The runner inherits the lock's descriptor, so someone holds the lock at every moment. An error
    in the ``with`` block removes the folder, unless a runner may work in it.

    Args:
        results_dir: The results directory; created if it is missing.
        session_id: The session's id.
        new_name: What tells the folder, until it is complete, from those that others make for the
            same id; default the id itself.

    Attributes:
        paths: The paths of the complete session.
        lock_fd: The descriptor that holds its lock until the end of the block.
        may_run: Whether a runner may work in the folder.

    Raises:
        ResultsDirError: If something can't be written; nothing is left behind.

    Example:
        A launch::

            with NewSession("/r", "s-1") as new:
                sha256 = new.complete(spec, tasks, head)
    """

    __slots__ = ("_made", "_results_dir", "lock_fd", "may_run", "paths")

    def __init__(self, results_dir: str, session_id: str, new_name: str = "") -> None:
        self._results_dir = results_dir
        self._made = layout.SessionPaths(
            f"{results_dir}/{layout.NEW_PREFIX}{new_name or session_id}"
        )
        self.paths = layout.SessionPaths(f"{results_dir}/{layout.SESSION_PREFIX}{session_id}")
        self.lock_fd = -1
        self.may_run = False

    def __enter__(self) -> NewSession:
        try:
            make_results_dir(self._results_dir)
            remove_leftovers(self._results_dir, most=MOST_AT_A_LAUNCH)
            with launching(self._results_dir):
                os.mkdir(self._made.root, 0o700)
                self.lock_fd = hold_lock(self._made.lock)
        except OSError as error:
            self.abandon()
            raise self._refusal(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        os.close(self.lock_fd)
        if kind is not None and not self.may_run:
            self.abandon()

    @property
    def log(self) -> str:
        """The runner's log, where it lies now."""
        return self._made.log

    @property
    def incomplete(self) -> layout.SessionPaths:
        """The paths of the session before it is complete."""
        return self._made

    def complete(
        self,
        spec: dict[str, Any],
        tasks: list[dict[str, Any]],
        head: dict[str, Any],
        frame: dict[str, Any] | None = None,
        reused: list[dict[str, Any]] | None = None,
        *,
        key: bytes | None = None,
        ended: list[dict[str, Any]] | None = None,
    ) -> str:
        """Writes everything, durably, and gives the folder its name.

        Args:
            spec: The spec without its tasks.
            tasks: One object per task: id, prompt, options.
            head: The head of the first status.json.
            frame: The frame that the tasks were made from, if there is one.
            reused: The rows of the frame whose answers are those of earlier sessions.
            key: The user's key, which seals it; None if there is none.
            ended: The further fields of the tasks, if they have run elsewhere; None: they are to
                run.

        Returns:
            The SHA-256 of its session.json.

        Raises:
            ResultsDirError: If something can't be written.
        """
        new = self._made
        try:
            sha256 = write_session(new, spec, tasks, head, frame, reused, key=key, ended=ended)
            os.rename(new.root, self.paths.root)
            self._made = self.paths
            _sync_dir(self._results_dir)
        except OSError as error:
            raise self._refusal(error) from error
        return sha256

    def abandon(self) -> None:
        """Removes the folder of a session that could not be started."""
        import shutil  # only here

        shutil.rmtree(self._made.root, ignore_errors=True)

    def _refusal(self, error: OSError) -> ResultsDirError:
        reason = error.strerror or error
        return ResultsDirError(
            f"can't write to the results directory {self._results_dir}: {reason}"
        )


def write_session(
    paths: layout.SessionPaths,
    spec: dict[str, Any],
    tasks: list[dict[str, Any]],
    head: dict[str, Any],
    frame: dict[str, Any] | None = None,
    reused: list[dict[str, Any]] | None = None,
    *,
    key: bytes | None = None,
    ended: list[dict[str, Any]] | None = None,
) -> str:
    """Writes the files of a session, durably; its status comes last, and says what the rest is.

    Args:
        paths: The session's paths; the caller holds its lock.
        spec: As for `NewSession.complete`, and so are the others.
        tasks: As above.
        head: As above.
        frame: As above.
        reused: As above.
        key: As above.
        ended: As above.

    Returns:
        The SHA-256 of its session.json.

    Raises:
        OSError: If something can't be written.
    """
    session_json = sealed(b"".join(_session_pieces(spec, tasks, reused)), key)
    write_new(paths.session, session_json, durable=True)
    if frame is not None:
        write_new(paths.frame, dump(frame), durable=True)
    status = StatusWriter(paths.status, head, _bases(spec, tasks))
    for number, fields in enumerate(ended or ()):
        status.set_task(number, fields)
    status.write(durable=True)
    _sync_dir(paths.root)
    sha256: str = sha256_of_file(session_json).hexdigest()
    return sha256


def _bases(spec: dict[str, Any], tasks: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for number, task in enumerate(tasks, 1):
        yield record.launched_fields(number, task, spec["options"])


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
