"""What earlier runners of a session wrote down.

The journal is the truth: each line was written before or right after the event that it records.
Its last line may be torn. If someone removed it, status.json has nearly as much, and an attempt
that is in neither has left its stream. Nothing here trusts the content of a file.
"""

from __future__ import annotations

import os

from cpr_nb.model import record, states
from cpr_nb.model.json_values import integer, number, text_or_none
from cpr_nb.model.outcome import TERMINATION_CAUSES, Outcome
from cpr_nb.model.quick_json import loads
from cpr_nb.runner.lease import Lease, end_lease, lease_of
from cpr_nb.store import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.store.layout import SessionPaths


#: What the head of status.json says of a session's end.
_END_FIELDS = ("overall_status", "state", "error", "end_time", "ended_at", "duration_s")


class Place:
    """Where the stream of an attempt stands in that of a process that served several tasks.

    Args:
        process: The number of the process.
        offset: Where it begins, in bytes.
        task_id: The task's id.
        attempt: Which attempt it is, from 1.
        conversation_id: Its conversation.
    """

    __slots__ = ("attempt", "conversation_id", "offset", "process", "task_id")

    def __init__(
        self, process: int, offset: int, task_id: str, attempt: int, conversation_id: str
    ) -> None:
        self.process, self.offset = process, offset
        self.task_id, self.attempt, self.conversation_id = task_id, attempt, conversation_id


class TaskHistory:
    """One task's past.

    Attributes:
        ended: The fields of its end, as status.json has them; None if it has not ended.
        attempt: Its last attempt, from 1; 0 if it never started.
        conversation_id: The conversation of that attempt.
        pid: The process of that attempt, if it was written down.
        began_at: When its first attempt started (ISO 8601).
        started_at: When its last attempt started.
        cause: Why the runner was about to terminate that attempt, or None.
        note: What the user should know of that, or None.
        rested: How that attempt ended, if another was to follow.
        n_free: How many attempts don't count.
        figures: What the earlier attempts cost.
        has_worktree: Whether it was given a worktree; where that is, no file here decides.
        harvest: How it ended, if only its worktree was still to be harvested.
        pid_namespace: The one in which that attempt was started; empty if that is not known.
        place: Where its stream stands, if a shared process served it.
        lease: Where that attempt runs, if that is a node.
    """

    __slots__ = (
        "attempt",
        "began_at",
        "cause",
        "conversation_id",
        "ended",
        "figures",
        "harvest",
        "has_worktree",
        "lease",
        "n_free",
        "note",
        "pid",
        "pid_namespace",
        "place",
        "rested",
        "started_at",
    )

    def __init__(self) -> None:
        self.ended: dict[str, Any] | None = None
        self.attempt = 0
        self.conversation_id = ""
        self.pid: int | None = None
        self.began_at: str | None = None
        self.started_at: str | None = None
        self.cause: str | None = None
        self.note: str | None = None
        self.rested: Outcome | None = None
        self.n_free = 0
        self.figures: dict[str, Any] = {}
        self.has_worktree = False
        self.harvest: Outcome | None = None
        self.pid_namespace = ""
        self.place: Place | None = None
        self.lease: Lease | None = None


class History:
    """A session's past.

    Attributes:
        tasks: Task id → its past, of tasks that had begun.
        cancels: The names of the requests to cancel that were drained, in order.
        max_parallel: What someone set it to meanwhile, or None.
        n_runners: How many runners there were.
        started_at: When the first of them began (ISO 8601).
        last_process: The number of the last process that was to serve several tasks; 0 for none.
        places: Number of such a process whose stream is there → the parts of the stream.
        process_leases: Number of such a process → the lease of its node, if that has one.
        reopened: The ids of the tasks that were skipped once, and were to run after all.
        is_rest_asked: Whether somebody wanted the rest to run while a pilot ran.
        warnings: What they warned of, each once.
        end: How and when the session ended, as status.json has it; empty if it has not.
    """

    __slots__ = (
        *("_leases", "_pid_namespace", "cancels", "end", "is_rest_asked", "last_process"),
        *("max_parallel", "n_runners", "places", "process_leases", "reopened", "started_at"),
        *("tasks", "warnings"),
    )

    def __init__(self) -> None:
        self.tasks: dict[str, TaskHistory] = {}
        self.cancels: list[str] = []
        self.max_parallel: int | None = None
        self.n_runners = 0
        self.last_process = 0
        self.places: dict[int, list[Place]] = {}
        self.process_leases: dict[int, Lease] = {}
        self.started_at: str | None = None
        self.reopened: set[str] = set()
        self.is_rest_asked = False
        self.warnings: list[str] = []
        self.end: dict[str, Any] = {}
        self._leases: dict[str, Lease] = {}
        self._pid_namespace = ""  # of the runner whose lines follow

    def feed(self, line: dict[str, Any]) -> None:
        """Adds one line of the journal."""
        event, task_id = line.get("event"), line.get("task_id")
        if event == "runner_started":
            self.n_runners += 1
            self.started_at = self.started_at or text_or_none(line.get("at"))
            self._pid_namespace = text_or_none(line.get("pid_namespace")) or ""
        elif event == "process_intent":
            self.last_process = max(self.last_process, integer(line.get("process")) or 0)
        elif event in ("remote_ended", "remote_lost"):
            end_lease(self._leases, line)
        elif event == "lease" and (process := integer(line.get("process"))):
            if (lease := lease_of(line)) is not None:
                self._leases[lease.token] = self.process_leases[process] = lease
        elif event == "request":
            self._feed_request(line)
        elif event == "reopened":
            self.reopen()
        elif event == "warning":
            self.add_warning(line.get("text"))
        elif isinstance(event, str) and isinstance(task_id, str) and event in _FEEDERS:
            task = self.tasks.setdefault(task_id, TaskHistory())
            _FEEDERS[event](task, line)
            if event == "intent":
                self._begin_attempt(task_id, task, line)
            elif event == "lease" and task.lease is not None:
                self._leases[task.lease.token] = task.lease

    @property
    def has_worked(self) -> bool:
        """Whether any task has succeeded."""
        ends = (task.ended for task in self.tasks.values())
        return any(end is not None and end["outcome"] == states.SUCCEEDED for end in ends)

    def add_warning(self, warning: object) -> None:
        """Adds a warning, unless it is known or no text."""
        if isinstance(warning, str) and warning not in self.warnings:
            self.warnings.append(warning)

    def reopen(self) -> None:
        """The session had ended, and its skipped tasks run after all."""
        self.cancels.clear()  # they were carried out
        for task_id, task in self.tasks.items():
            if task.ended is not None and task.ended["outcome"] == states.SKIPPED:
                self.reopened.add(task_id)
                task.ended = task.harvest = None
                task.has_worktree = False  # if it had one, it was harvested

    def _begin_attempt(self, task_id: str, task: TaskHistory, line: dict[str, Any]) -> None:
        task.pid_namespace = self._pid_namespace
        number, offset = integer(line.get("process")), integer(line.get("offset"))
        task.place = None
        if number and offset is not None:
            place = Place(number, offset, task_id, task.attempt, task.conversation_id)
            task.place = place
            self.places.setdefault(number, []).append(place)

    def _feed_request(self, line: dict[str, Any]) -> None:
        name = line.get("name")
        if isinstance(name, str) and name.startswith(layout.CANCEL):
            self.cancels.append(name)
        elif name == layout.MAX_PARALLEL and integer(line.get("value")) is not None:
            self.max_parallel = line["value"]
        elif name == layout.RUN_REST:
            self.is_rest_asked = True


def _intent(task: TaskHistory, line: dict[str, Any]) -> None:
    attempt = integer(line.get("attempt"))
    conversation_id = _conversation_id(line.get("conversation_id"))
    if attempt and conversation_id:
        task.attempt, task.conversation_id = attempt, conversation_id
        task.pid = task.cause = task.note = task.rested = task.started_at = task.lease = None


def _lease(task: TaskHistory, line: dict[str, Any]) -> None:
    if line.get("kind") == "attempt":
        task.lease = lease_of(line)


def _started(task: TaskHistory, line: dict[str, Any]) -> None:
    task.pid = integer(line.get("pid"))
    task.started_at = text_or_none(line.get("at"))
    task.began_at = task.began_at or task.started_at


def _prepared(task: TaskHistory, line: dict[str, Any]) -> None:
    task.has_worktree = isinstance(line.get("checkout"), dict)


def _harvest(task: TaskHistory, line: dict[str, Any]) -> None:
    outcome, reason = line.get("outcome"), line.get("reason")
    if outcome in states.OUTCOMES and reason in states.REASONS and task.has_worktree:
        task.harvest = Outcome(outcome, reason, text_or_none(line.get("error")) or "")


def _stop(task: TaskHistory, line: dict[str, Any]) -> None:
    cause = line.get("cause")
    task.cause = cause if isinstance(cause, str) and cause in TERMINATION_CAUSES else None
    task.note = text_or_none(line.get("note"))


def _attempt_ended(task: TaskHistory, line: dict[str, Any]) -> None:
    outcome, reason = line.get("outcome"), line.get("reason")
    if outcome in states.OUTCOMES and reason in states.REASONS:
        task.rested = Outcome(outcome, reason, text_or_none(line.get("error")) or "")
        task.n_free += line.get("counted") is False
        task.figures = record.add_figures(task.figures, _summed_figures(line))


def _task_ended(task: TaskHistory, line: dict[str, Any]) -> None:
    fields = {k: v for k, v in line.items() if k not in ("at", "event", "task_id")}
    if fields.get("outcome") in states.OUTCOMES:
        task.ended = {**fields, **record.safe_figures(fields)}


_FEEDERS = {
    "intent": _intent,
    "lease": _lease,
    "started": _started,
    "stop": _stop,
    "prepared": _prepared,
    "harvest": _harvest,
    "attempt_ended": _attempt_ended,
    "ended": _task_ended,
}


def _summed_figures(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in record.SUMMED if number(line.get(name)) is not None}


def read_history(paths: SessionPaths) -> History:
    """Reads what earlier runners wrote.

    Args:
        paths: The session's paths.

    Returns:
        The history; empty if there never was a runner.
    """
    history = History()
    for line in _json_lines(paths.journal):
        history.feed(line)
    status = _read_status(paths.status)
    if status.get("state") in states.ENDED_STATES:
        history.end = {name: status[name] for name in _END_FIELDS if name in status}
    for warning in _list_of(status, "warnings"):
        history.add_warning(warning)
    for fields in _list_of(status, "tasks"):
        if not isinstance(fields, dict):
            continue
        task_id = text_or_none(fields.get("transaction_id"))
        if task_id is None:
            continue
        task = history.tasks.get(task_id)
        if task is None or not (task.attempt or task.ended):  # the journal's beginning is gone
            restored = _from_status(fields)
            if restored is not None:
                history.tasks[task_id] = restored
    _add_streams(paths, history)
    return history


def _add_streams(paths: SessionPaths, history: History) -> None:
    """Adds the attempts of which only a stream shows that they began."""
    try:
        names = os.listdir(paths.root)
    except OSError:
        return
    processes = [number for name in names if (number := layout.process_of(name)) is not None]
    # Their names must not be used again. The others were removed: each task has its stream.
    history.last_process = max([history.last_process, *processes])
    history.places = {number: history.places.get(number, []) for number in processes}
    for name in names:
        task_id, attempt = layout.attempt_of(name) or ("", 0)
        task = history.tasks.get(task_id)
        if attempt > (task.attempt if task is not None else 0) and not (task and task.ended):
            task = task or TaskHistory()
            task.attempt, task.conversation_id = attempt, _conversation(f"{paths.root}/{name}")
            task.pid = task.cause = task.note = task.rested = task.started_at = None
            task.pid_namespace, task.place = "", None
            history.tasks[task_id] = task


def _conversation(path: str) -> str:
    """The conversation that a stream begins with; empty if it says nothing yet."""
    for line in _json_lines(path):
        conversation_id = _conversation_id(line.get("session_id"))
        if conversation_id:
            return conversation_id
    return ""


def _conversation_id(value: object) -> str | None:
    """The id of a conversation, which becomes an argument and part of a path; else None.

    The journal and the streams have no seal: anybody who can write them may have put it there.
    """
    text = text_or_none(value) or ""
    is_sound = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if is_sound and text[0] != "-" else None


def _from_status(fields: dict[str, Any]) -> TaskHistory | None:
    """A task's past from status.json, for one that is not in the journal."""
    task = TaskHistory()
    if fields.get("state") == states.ENDED:
        base = ("task_num", "transaction_id", "prompt")
        _task_ended(task, {k: v for k, v in fields.items() if k not in base})
        return task if task.ended else None
    line = {**fields, "attempt": fields.get("attempts"), "at": fields.get("started_at")}
    _intent(task, line)
    task.began_at = task.started_at = text_or_none(fields.get("started_at"))
    return task if task.attempt else None


def _read_status(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            status = loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}


def _list_of(status: dict[str, Any], name: str) -> list[Any]:
    values = status.get(name)
    return values if isinstance(values, list) else []


def _json_lines(path: str) -> Iterator[dict[str, Any]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return
    with open(fd, "rb") as file:
        for data in file:
            try:
                line = loads(data)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                yield line
