"""The rows of a map, in order: its own tasks, and rows whose answers other sessions have.

A map with ``reuse`` runs only what has no success yet. Its session.json names the task whose answer
each other row has.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.store import catalog
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.lineage import Ids, LinkedTask, linked_tasks, newest_answers

_SESSION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")


class ResultRow(NamedTuple):
    """One row of a table of results.

    Args:
        task: The task that asked for it, with the row's own place and factors.
        answer: The task whose answer counts: a retry of it, for example.
        is_reused: Whether another session has run it.
    """

    task: LinkedTask
    answer: LinkedTask
    is_reused: bool


def reused_entry(position: int, ids: Ids, origin: dict[str, Any]) -> dict[str, Any]:
    """What session.json says of a row that does not run.

    Args:
        position: Its place among all rows of the map, from 0.
        ids: The session and the task that have its answer.
        origin: Its ``row`` and its ``factors``.

    Example:
        >>> reused_entry(3, ("s-1", "a"), {"row": 3})
        {'position': 3, 'session_id': 's-1', 'task_id': 'a', 'row': 3}
    """
    kept = {name: value for name, value in origin.items() if name in ("row", "factors")}
    return {"position": position, "session_id": ids[0], "task_id": ids[1], **kept}


def result_rows(snapshot: Snapshot, heads: list[Snapshot] | None = None) -> list[ResultRow]:
    """The rows of a session's table of results, in order.

    Args:
        snapshot: The session.
        heads: The sessions of its results directory, the newest first, if they were just listed.
    """
    answers = newest_answers(snapshot, heads)
    own = [
        ResultRow(task, answer, False)
        for task, answer in zip(linked_tasks(snapshot), answers, strict=True)
    ]
    reused = reused_rows(snapshot)
    if not reused:
        return own
    rows, left = list[ResultRow](), iter(own)
    for position in range(len(own) + len(reused)):
        rows.append(reused[position] if position in reused else next(left))
    return rows


def reused_rows(snapshot: Snapshot) -> dict[int, ResultRow]:
    """The rows whose answers other sessions have: their places, and the rows.

    Args:
        snapshot: The session that reuses them.
    """
    if not snapshot.count("n_reused"):
        return {}
    entries = read_spec(snapshot.paths).get("reused")
    entries = [e for e in entries if _is_entry(e)] if isinstance(entries, list) else []
    folder = os.path.dirname(snapshot.paths.root)
    heads = catalog.list_sessions(folder)
    sources: dict[str, dict[str, tuple[LinkedTask, LinkedTask]]] = {}
    rows = {}
    for entry in sorted(entries, key=lambda entry: entry["position"]):
        session_id = entry["session_id"]
        if session_id not in sources:
            sources[session_id] = _tasks_of(f"{folder}/{SESSION_PREFIX}{session_id}", heads)
        task, answer = sources[session_id].get(entry["task_id"]) or _gone(folder, entry)
        place = {name: entry[name] for name in ("row", "factors") if name in entry}
        rest = {name: value for name, value in task.spec.items() if name not in ("row", "factors")}
        task = task._replace(spec={**rest, **place})
        rows[entry["position"]] = ResultRow(task, answer, True)
    # A hand that has changed the file must not make rows disappear.
    n_rows = len(rows) + len(snapshot.tasks or ())
    return rows if all(position < n_rows for position in rows) else {}


def _tasks_of(root: str, heads: list[Snapshot]) -> dict[str, tuple[LinkedTask, LinkedTask]]:
    """The tasks of a session by their ids, each with the task whose answer counts."""
    snapshot = read_session(root)
    pairs = zip(linked_tasks(snapshot), newest_answers(snapshot, heads), strict=True)
    return {task.ids[1]: (task, answer) for task, answer in pairs}


def _gone(folder: str, entry: dict[str, Any]) -> tuple[LinkedTask, LinkedTask]:
    """Stands for a task whose session was removed: nothing is known about it but its ids."""
    paths = SessionPaths(f"{folder}/{SESSION_PREFIX}{entry['session_id']}")
    snapshot = Snapshot(paths, {}, [], states.UNREADABLE)
    task = LinkedTask(snapshot, {"transaction_id": entry["task_id"], "attempts": 0}, {}, {})
    return task, task


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("position"), int)
        and entry["position"] >= 0
        and isinstance(entry.get("task_id"), str)
        and isinstance(entry.get("session_id"), str)
        and _SESSION_ID.fullmatch(entry["session_id"]) is not None
    )
