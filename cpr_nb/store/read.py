"""Reads a session's folder: ours, that of claude-parallel-runner.pl, or what is left of one.

A session's state is derived here, for every interface, from status.json and from whether the
session's lock is held, if that proves anything here. Nothing in this module raises because of what
a folder contains.
"""

from __future__ import annotations

import json
import os
import time

from cpr_nb.model import states
from cpr_nb.model.record import is_newer
from cpr_nb.model.text import one_line
from cpr_nb.store.files import is_locked, open_regular, read_file, read_json
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.whereabouts import Whereabouts, boot_id, does_lock_prove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.files import Loads

    _Read = tuple[dict[str, Any] | None, os.stat_result | None, str]

#: How long a legacy session may claim to be running without a sign of life.
STALE_AFTER_S = 600.0

# claude-parallel-runner.pl writes its status in place: a reader may see half of it.
_TRIES = 5
_TRY_AGAIN_S = 0.02
_HEAD_BYTES = 4096
#: Separates the head of a status.json of ours from its tasks, which are one per line.
TASKS_MARK = b',\n"tasks":[\n'


# Bound once: there may be 10,000 heads.
_DECODE = json.JSONDecoder().raw_decode


def parse_json(data: bytes) -> Any:
    """As `json.loads`, for UTF-8 in two thirds of the time."""
    try:
        text = data.decode()
        value, end = _DECODE(text)
        if end == len(text):
            return value
    except (ValueError, RecursionError):
        pass
    return json.loads(data)


class Snapshot:
    """A session as its folder shows it at one moment.

    Args:
        paths: The session's paths.
        head: The fields of status.json without the tasks; empty if it can't be read.
        tasks: The tasks' fields, or None if only the head was read.
        state: One of `cpr_nb.model.states.SESSION_STATES`.
        problem: Why it is unreadable, for the user.
        stat: The `os.stat_result` of the status.json that was read.

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
        """The id, from the folder's name; an id in the file does not count."""
        return self.paths.root.rpartition("/session-")[2]

    @property
    def short_id(self) -> str:
        """The id's first eight characters, fit to be pasted into a shell behind a command."""
        short = self.session_id[:8]
        if short.isascii() and short.replace("-", "").isalnum():
            return short
        import shlex  # no id that cpr makes needs it: somebody named a folder like this

        return shlex.quote(short)

    @property
    def is_legacy(self) -> bool:
        """Whether claude-parallel-runner.pl wrote it."""
        return "schema_version" not in self.head and bool(self.head)

    @property
    def is_newer(self) -> bool:
        """Whether a newer cpr wrote it: what we know of it is shown, and nothing is written."""
        return is_newer(self.head)

    @property
    def is_live(self) -> bool:
        """Whether a runner works on it, or may do so on another machine."""
        return self.state in states.FOLLOWED_STATES

    def count(self, name: str) -> int:
        """A counter of the head, such as ``n_failed``; 0 if it is missing or not a number."""
        value = self.head.get(name)
        return value if type(value) is int else 0


def read_session(root: str, *, tasks: bool = True, loads: Loads = parse_json) -> Snapshot:
    """Reads a session's folder.

    Args:
        root: The folder.
        tasks: Whether to read the tasks, too; the head alone is faster.
        loads: Parses JSON; what it raises is a ValueError or a RecursionError.

    Returns:
        The session; its state is ``unreadable`` if there is nothing to read.
    """
    snapshot = _read_once(SessionPaths(root), tasks, loads)
    if snapshot.state in (states.INTERRUPTED, states.UNREACHABLE):
        # Its runner may have written the end and released the lock between our two reads.
        snapshot = _read_once(SessionPaths(root), tasks, loads)
    return snapshot


def _read_once(paths: SessionPaths, tasks: bool, loads: Loads) -> Snapshot:
    head, stat, problem = (None, None, "") if tasks else _read_head(paths, loads)
    if head is None:
        head, stat, problem = _read_whole(paths, loads)
    if head is None:
        return Snapshot(paths, {}, [] if tasks else None, states.UNREADABLE, problem)
    raw_tasks = head.pop("tasks", None)
    task_list = [t for t in raw_tasks if isinstance(t, dict)] if isinstance(raw_tasks, list) else []
    _add_legacy_counters(head, task_list)
    state = state_of(paths, head)
    return Snapshot(paths, head, task_list if tasks else None, state, stat=stat)


def head_bytes(path: str) -> tuple[bytes, os.stat_result] | None:
    """The head of a status.json of ours, without reading the tasks behind it.

    Args:
        path: The file.

    Returns:
        The head as JSON, and the file's `os.stat_result`; None if the file has another form.
    """
    read = _read_begin(path)
    if read is None:
        return None
    end = read[0].find(TASKS_MARK)
    return (read[0][:end] + b"}", read[1]) if end >= 0 else None


def ended_head(
    path: str, folder_fd: int | None = None, loads: Loads = parse_json
) -> tuple[dict[str, Any], os.stat_result] | None:
    """The head of a session that has ended, also of claude-parallel-runner.pl, without its tasks.

    With 10,000 sessions this is most of the work of a list.

    Args:
        path: Its status.json.
        folder_fd: The open folder that a relative path begins at; that is faster.
        loads: Parses JSON; see `read_session`.

    Returns:
        The head, and the file's `os.stat_result`; None if it has not ended, or its file must be
        read as a whole.
    """
    read = _read_begin(path, folder_fd)
    head = None if read is None else _parse_head(read[0], loads)
    if read is None or head is None or head.get("overall_status") not in states.ENDED_STATES:
        return None
    _add_legacy_counters(head, [])
    return head, read[1]


def _read_begin(path: str, folder_fd: int | None = None) -> tuple[bytes, os.stat_result] | None:
    """The beginning of a status.json: the head of ours, or all of another one."""
    try:
        # It does not block on a named pipe either.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder_fd)
    except OSError:
        return None
    try:
        # In this order: a later change shows in a later stat.
        stat, data = os.fstat(fd), os.read(fd, _HEAD_BYTES)
        if len(data) == _HEAD_BYTES and TASKS_MARK not in data:
            data += os.read(fd, max(0, stat.st_size - _HEAD_BYTES))
    except OSError:
        return None
    finally:
        os.close(fd)
    return data, stat


def _without_tasks(data: bytes) -> bytes:
    """A status.json of claude-parallel-runner.pl with 0 for its tasks, which are most of it.

    The result is no JSON if there are no tasks, or if what looks like them lies in a text: then
    the quotes that are left don't match.
    """
    start, end = data.find(b'"tasks":['), data.rfind(b"}]")
    if not 0 < start < end or b'"running"' in data:
        return b""
    return data[:start] + b'"tasks":0' + data[end + 2 :]


def read_answer(paths: SessionPaths, task_id: str) -> str | None:
    """The text of ``task-<id>.txt``, or None if it is not there."""
    try:
        return read_file(paths.answer(task_id)).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None


def _read_head(paths: SessionPaths, loads: Loads) -> _Read:
    read = _read_begin(paths.status)
    head = None if read is None else _parse_head(read[0], loads)
    return (None, None, "") if read is None or head is None else (head, read[1], "")


def _parse_head(data: bytes, loads: Loads) -> dict[str, Any] | None:
    """The head of a session of ours, or of one that has ended; else the tasks count, too."""
    end = data.find(TASKS_MARK)
    try:
        head = loads(data[:end] + b"}" if end >= 0 else _without_tasks(data))
    except (ValueError, RecursionError):
        return None
    if not isinstance(head, dict):
        return None
    tasks = head.pop("tasks", None)
    if end < 0 and (tasks != 0 or head.get("overall_status") not in states.ENDED_STATES):
        return None
    return head


def _read_whole(paths: SessionPaths, loads: Loads) -> _Read:
    problem = "status.json is empty"
    for attempt in range(_TRIES):
        try:
            with open_regular(paths.status) as file:
                stat = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            return None, None, "no status.json"
        except OSError as error:
            return None, None, f"status.json: {error.strerror}"
        try:
            status = loads(data)
            if isinstance(status, dict):
                return status, stat, ""
            return None, None, "status.json is not an object"
        except (ValueError, RecursionError):
            if data:
                problem = "status.json is not valid JSON"
        if time.time() - stat.st_mtime > 1 or attempt == _TRIES - 1:
            break  # nobody is writing it
        time.sleep(_TRY_AGAIN_S)
    return None, None, problem


def _add_legacy_counters(head: dict[str, Any], tasks: list[dict[str, Any]]) -> None:
    """Adds the counters that our sessions have to a legacy session."""
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
    """A session's state, from the head of its status.json and whether its lock is held."""
    overall = status.get("overall_status")
    if overall in states.ENDED_STATES:
        return str(overall)
    if overall == states.PLANNED:
        return states.PLANNED
    if overall != "running":
        return states.UNREADABLE
    locked = is_locked(paths)
    if locked is None:
        return _legacy_state(paths)
    if not locked:
        is_gone = is_runner_gone(paths)
        return states.INTERRUPTED if is_gone else states.UNREACHABLE
    state = status.get("state")
    return state if state in states.LIVE_STATES else states.RUNNING


def is_runner_gone(paths: SessionPaths) -> bool:
    """Whether a session's lock, which looks free here, shows that it has no runner."""
    runner = Whereabouts.of_runner(read_json(paths.runner))
    if runner is not None and runner.boot_id == boot_id():
        return True  # the usual case, for which the table of mounts is not needed
    return does_lock_prove(Whereabouts.here(paths.root), runner)


def runner_host(paths: SessionPaths) -> str:
    """The machine of a session's newest runner, in words."""
    host = read_json(paths.runner).get("host")
    return one_line(host) if isinstance(host, str) and host else "another machine"


def _legacy_state(paths: SessionPaths) -> str:
    try:
        newest = max(entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(paths.root))
    except (OSError, ValueError):
        return states.STALE
    return states.STALE if time.time() - newest > STALE_AFTER_S else states.RUNNING
