"""Reading a session's folder: ours, claude-parallel-runner.pl's, or what is left of one.

A session's state is derived here, for every face: from status.json and from whether the
session's lock is held. Nothing in this module raises for what a folder holds.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time

from cpr_nb.model import states
from cpr_nb.store.layout import SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    Loads = Callable[[bytes], Any]
    _Read = tuple[dict[str, Any] | None, os.stat_result | None, str]

#: How long a legacy session may say "running" without a sign of life.
STALE_AFTER_S = 600.0

# claude-parallel-runner.pl writes its status in place: a reader may meet half of it.
_TRIES = 5
_TRY_AGAIN_S = 0.02
_HEAD_BYTES = 4096
#: Between the head of a status.json of ours and its tasks, a line each.
TASKS_MARK = b',\n"tasks":[\n'


class Snapshot:
    """A session as its folder tells it at one moment.

    Args:
        paths: The session's paths.
        head: The fields of status.json without the tasks; empty if it can't be read.
        tasks: The tasks' fields, or None if only the head was read.
        state: One of `cpr_nb.model.states.SESSION_STATES`.
        problem: Why it is unreadable, for a person.
        stat: What the system says of the status.json that was read.

    Example:
        >>> Snapshot(SessionPaths("/r/session-1"), {}, [], "unreadable").session_id
        '1'
    """

    __slots__ = ("head", "paths", "problem", "stat", "state", "tasks")

    def __init__(
        self,
        paths: SessionPaths,
        head: dict[str, Any],
        tasks: list[dict[str, Any]] | None,
        state: str,
        problem: str = "",
        stat: os.stat_result | None = None,
    ) -> None:
        self.paths = paths
        self.head = head
        self.tasks = tasks
        self.state = state
        self.problem = problem
        self.stat = stat

    @property
    def session_id(self) -> str:
        """The id, which is in the folder's name; what the file says of it does not count."""
        return self.paths.root.rpartition("/session-")[2]

    @property
    def is_legacy(self) -> bool:
        """Whether claude-parallel-runner.pl wrote it."""
        return "schema_version" not in self.head and bool(self.head)

    @property
    def is_live(self) -> bool:
        """Whether a runner works on it (as far as anybody can tell)."""
        return self.state in states.LIVE_STATES

    def count(self, name: str) -> int:
        """A counter of the head, such as ``n_failed``; 0 where there is none that can be read."""
        value = self.head.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_session(root: str, *, tasks: bool = True, loads: Loads = json.loads) -> Snapshot:
    """Reads a session's folder.

    Args:
        root: The folder.
        tasks: Whether the tasks are wanted too; the head alone is read faster.
        loads: Parses JSON; what it raises is a ValueError or a RecursionError.

    Returns:
        What it says; its state is ``unreadable`` if it says nothing.
    """
    snapshot = _read_once(SessionPaths(root), tasks, loads)
    if snapshot.state == states.INTERRUPTED:
        # Its runner may have written the end, and let go of the lock, between our two looks.
        snapshot = _read_once(SessionPaths(root), tasks, loads)
    return snapshot


def _read_once(paths: SessionPaths, tasks: bool, loads: Loads) -> Snapshot:
    status, found, problem = (None, None, "") if tasks else _read_head(paths, loads)
    if status is None:
        status, found, problem = _read_whole(paths, loads)
    if status is None:
        return Snapshot(paths, {}, [] if tasks else None, states.UNREADABLE, problem)
    told = status.pop("tasks", None)
    task_list = [t for t in told if isinstance(t, dict)] if isinstance(told, list) else []
    _complete(status, task_list)
    state = state_of(paths, status)
    return Snapshot(paths, status, task_list if tasks else None, state, stat=found)


def head_bytes(path: str) -> tuple[bytes, os.stat_result] | None:
    """The head of a status.json of ours, without reading the tasks behind it.

    Args:
        path: The file.

    Returns:
        The head as JSON, and what the system says of the file; None if it has another form.
    """
    try:
        # Of 10,000 sessions this is most of the work. It does not wait on a named pipe either.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found, data = os.fstat(fd), os.read(fd, _HEAD_BYTES)  # what changes then is seen
    except OSError:
        return None
    finally:
        os.close(fd)
    end = data.find(TASKS_MARK)
    return (data[:end] + b"}", found) if end >= 0 else None


def open_regular(path: str) -> BinaryIO:
    """Opens a file to read, if it is one: a named pipe in its place would keep us for ever.

    Raises:
        OSError: If it can't be opened, or is no regular file.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    # open(), not os.open(): Ctrl-C in a wait must not leave a descriptor that nobody owns.
    return open(path, "rb")


def is_locked(paths: SessionPaths) -> bool | None:
    """Whether somebody holds the session's lock; None if it has none (a legacy session)."""
    try:
        file = open_regular(paths.lock)
    except FileNotFoundError:
        return None
    except OSError:
        return False
    with file:
        try:
            # Shared, so that two who look don't see each other.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def read_file(path: str) -> bytes:
    """A small file's bytes: `open_regular` in half the time, for who reads 100,000.

    Raises:
        OSError: If it can't be read, or is no regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # does not wait on a named pipe
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = os.read(fd, found.st_size + 1)
        while len(data) > found.st_size:  # it has grown since
            more = os.read(fd, len(data))
            if not more:
                break
            data += more
        return data
    finally:
        os.close(fd)


def read_json(path: str, loads: Loads = json.loads) -> dict[str, Any]:
    """A JSON object from a file; empty if it is not there or not one."""
    try:
        value = loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_spec(paths: SessionPaths, loads: Loads = json.loads) -> dict[str, Any]:
    """session.json: what was asked, prompts in full; empty for a legacy session."""
    return read_json(paths.session, loads)


def is_whole(spec: dict[str, Any]) -> bool:
    """Whether a session.json says what is needed to run its tasks (again)."""
    texts = ("session_id", "cwd", "claude_path")
    return (
        all(isinstance(spec.get(name), str) for name in texts)
        and isinstance(spec.get("options"), dict)
        and isinstance(spec.get("max_parallel"), int)
        and _are_names(spec.get("env_names", []))
        and isinstance(spec.get("tasks"), list)
        and bool(spec["tasks"])
        and all(_is_task(task) for task in spec["tasks"])
    )


def _is_task(task: object) -> bool:
    return (
        isinstance(task, dict)
        and isinstance(task.get("id"), str)
        and isinstance(task.get("prompt"), str)
        and isinstance(task.get("options", {}), dict)
        and _are_names(task.get("env_names", []))
    )


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def read_answer(paths: SessionPaths, task_id: str) -> str | None:
    """The text of ``task-<id>.txt``, or None if it is not there."""
    try:
        return read_file(paths.answer(task_id)).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


# -- status.json ----------------------------------------------------------------------------


def _read_head(paths: SessionPaths, loads: Loads) -> _Read:
    read = head_bytes(paths.status)
    if read is not None:
        try:
            head = loads(read[0])
        except (ValueError, RecursionError):
            head = None
        if isinstance(head, dict):
            return head, read[1], ""
    return None, None, ""


def _read_whole(paths: SessionPaths, loads: Loads) -> _Read:
    problem = "status.json is empty"
    for attempt in range(_TRIES):
        try:
            with open_regular(paths.status) as file:
                found = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            return None, None, "no status.json"
        except OSError as error:
            return None, None, f"status.json: {error.strerror}"
        try:
            status = loads(data)
            if isinstance(status, dict):
                return status, found, ""
            return None, None, "status.json is not an object"
        except (ValueError, RecursionError):
            if data:
                problem = "status.json is not whole JSON"
        if time.time() - found.st_mtime > 1 or attempt == _TRIES - 1:
            break  # nobody is writing it
        time.sleep(_TRY_AGAIN_S)
    return None, None, problem


def _complete(head: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    """Gives a legacy session the counters that ours have."""
    if "schema_version" in head:
        return
    total, done = _int(head.get("total")), _int(head.get("completed"))
    good = _int(head.get("successful"))
    running = sum(1 for task in tasks if task.get("status") == "running")
    head.setdefault("n_succeeded", good)
    head.setdefault("n_failed", max(0, done - good))
    head.setdefault("n_running", running)
    head.setdefault("n_pending", max(0, total - done - running))


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def state_of(paths: SessionPaths, status: dict[str, Any]) -> str:
    """A session's state, from the head of its status.json and from whether its lock is held."""
    overall = status.get("overall_status")
    if overall in states.ENDED_STATES:
        return str(overall)
    if overall != "running":
        return states.UNREADABLE
    locked = is_locked(paths)
    if locked is None:
        return _legacy_state(paths)
    if not locked:
        return states.INTERRUPTED
    state = status.get("state")
    return state if state in states.LIVE_STATES else states.RUNNING


def _legacy_state(paths: SessionPaths) -> str:
    try:
        newest = max(entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(paths.root))
    except (OSError, ValueError):
        return states.STALE
    return states.STALE if time.time() - newest > STALE_AFTER_S else states.RUNNING
