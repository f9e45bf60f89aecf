"""The retries and follow-ups of a session's tasks, and those of theirs in turn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.errors import StateDirError
from cpr_nb.model.record import task_state
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec, task_of

#: A session's id and a task's.
Ids = tuple[str, str]


class LinkedTask(NamedTuple):
    """One task of a session, with its link to the task that it continues.

    Args:
        snapshot: The session.
        fields: What status.json says of the task.
        spec: What session.json says of it.
        options: The options of its session.
    """

    snapshot: Snapshot
    fields: dict[str, Any]
    spec: dict[str, Any]
    options: dict[str, Any]

    @property
    def ids(self) -> Ids:
        """The session's id and the task's."""
        return self.snapshot.session_id, str(self.fields.get("transaction_id", ""))

    @property
    def is_follow_up(self) -> bool:
        """Whether it continues another task's conversation with another question."""
        return bool(self.spec.get("is_follow_up"))

    @property
    def can_replace_answer(self) -> bool:
        """Whether its answer may replace that of the task that it continues.

        A retry's may. A follow-up's may only if it was asked for an answer with a schema.
        """
        return not self.is_follow_up or self.schema is not None

    @property
    def parent(self) -> Ids | None:
        """The ids of the session and task that it continues; None if there is none."""
        ids = self.spec.get("parent")
        if not isinstance(ids, dict):
            return None
        return str(ids.get("session_id", "")), str(ids.get("task_id", ""))

    @property
    def schema(self) -> Any:
        """The JSON schema of its answer; None if there is none."""
        own = self.spec.get("options")
        return {**self.options, **(own if isinstance(own, dict) else {})}.get("schema")


def linked_tasks(snapshot: Snapshot) -> list[LinkedTask]:
    """Returns the tasks of a session, in order."""
    spec = read_spec(snapshot.paths)
    options, specs = spec.get("options"), spec.get("tasks")
    options = options if isinstance(options, dict) else {}
    return [
        LinkedTask(snapshot, task, task_of(specs, index), options)
        for index, task in enumerate(snapshot.tasks or ())
    ]


def newest_answers(snapshot: Snapshot, heads: Sequence[Snapshot] | None = None) -> list[LinkedTask]:
    """Returns, for each task of a session, the task whose answer counts: mostly its newest retry.

    A retry counts once it has ended, or at once if the task that it repeats did not succeed.
    A follow-up asks something else: it counts if it succeeded and its answer has the same schema.

    Args:
        snapshot: The session.
        heads: The sessions of its results directory, the newest first, if they were just listed.

    Returns:
        One per task of the session, in order.
    """
    first = linked_tasks(snapshot)
    # Ids → the task's index, and whether a follow-up lies between.
    origins = {task.ids: (index, False) for index, task in enumerate(first)}
    best = list(first)
    for session in _descendants(snapshot, heads):
        for task in linked_tasks(session):
            index, has_follow_up = origins.get(task.parent or ("", ""), (-1, False))
            if index < 0 or not task.can_replace_answer:
                continue
            has_follow_up |= task.is_follow_up
            origins[task.ids] = index, has_follow_up
            if _replaces(task, best[index], has_follow_up=has_follow_up):
                best[index] = task
    return best


def _replaces(task: LinkedTask, older: LinkedTask, *, has_follow_up: bool) -> bool:
    state, outcome = task_state(task.fields)
    if has_follow_up:
        return outcome == states.SUCCEEDED and task.schema == older.schema
    return state == states.ENDED or task_state(older.fields)[1] != states.SUCCEEDED


def ancestors(folder: str, tasks: Iterable[Ids]) -> list[set[Ids]]:
    """Returns, for each task, itself and those whose answers its own may replace.

    Args:
        folder: The results directory.
        tasks: The ids of session and task of each.

    Returns:
        One set of ids per task; see `LinkedTask.can_replace_answer`.
    """
    # Each session is read once, however many of its tasks are asked for.
    sessions: dict[str, dict[Ids, LinkedTask]] = {}
    chains = []
    for ids in tasks:
        chain: set[Ids] = set()
        current: Ids | None = ids
        while current is not None and current not in chain:
            chain.add(current)
            session_id = current[0]
            if session_id not in sessions:
                session = read_session(f"{folder}/{SESSION_PREFIX}{session_id}")
                sessions[session_id] = {task.ids: task for task in linked_tasks(session)}
            task = sessions[session_id].get(current)
            current = task.parent if task is not None and task.can_replace_answer else None
        chains.append(chain)
    return chains


def _descendants(snapshot: Snapshot, heads: Sequence[Snapshot] | None) -> Iterator[Snapshot]:
    """Yields the sessions that continue this one, directly or not, the oldest first.

    A foreign one never continues one of the user's own: it could bring forged answers.
    """
    if heads is None:
        heads = catalog.list_sessions(os.path.dirname(snapshot.paths.root))
    family, are_own = {snapshot.session_id}, _is_own(snapshot)
    for head in reversed(heads):
        if not family.isdisjoint(parents(head)) and (not are_own or _is_own(head)):
            family.add(head.session_id)
            yield read_session(head.paths.root)


def _is_own(session: Snapshot) -> bool:
    try:
        return read_authorship(session.paths).is_ours
    except StateDirError:  # without the key nobody can tell
        return False


def parents(snapshot: Snapshot) -> list[str]:
    """Returns the ids of the sessions that a session continues."""
    ids = snapshot.head.get("parent_session_id")
    return ids.split(",") if isinstance(ids, str) else []
