"""What goes on from a session's tasks: their retries and follow-ups, and theirs in turn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store import catalog
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec

#: A session's id and a task's.
Ids = tuple[str, str]


class Step(NamedTuple):
    """One task of a session, with all that is known of it.

    Args:
        snapshot: The session.
        task: What status.json says of the task.
        asked: What session.json says of it.
        options: The options of its session.
    """

    snapshot: Snapshot
    task: dict[str, Any]
    asked: dict[str, Any]
    options: dict[str, Any]

    @property
    def ids(self) -> Ids:
        """The session's id and the task's."""
        return self.snapshot.session_id, str(self.task.get("transaction_id", ""))

    @property
    def is_follow_up(self) -> bool:
        """Whether it goes on with another task's conversation, and asks something else."""
        return bool(self.asked.get("is_follow_up"))

    @property
    def answers_anew(self) -> bool:
        """Whether its answer may stand for that of the task it goes on from.

        A retry's does. A follow-up's only where it was asked for an answer of a schema.
        """
        return not self.is_follow_up or self.schema is not None

    @property
    def parent(self) -> Ids | None:
        """The ids of session and task that it goes on from, if there are any."""
        told = self.asked.get("parent")
        if not isinstance(told, dict):
            return None
        return str(told.get("session_id", "")), str(told.get("task_id", ""))

    @property
    def schema(self) -> Any:
        """The JSON schema of its answer; None if there is none."""
        own = self.asked.get("options")
        return {**self.options, **(own if isinstance(own, dict) else {})}.get("schema")


def steps(snapshot: Snapshot) -> list[Step]:
    """The tasks of a session."""
    asked = read_spec(snapshot.paths)
    options, tasks = asked.get("options"), asked.get("tasks")
    tasks = tasks if isinstance(tasks, list) else []
    found = []
    for index, task in enumerate(snapshot.tasks or ()):
        mine = tasks[index] if index < len(tasks) and isinstance(tasks[index], dict) else {}
        found.append(Step(snapshot, task, mine, options if isinstance(options, dict) else {}))
    return found


def newest(snapshot: Snapshot) -> list[Step]:
    """Of each task of a session the step whose answer counts: its newest retry, mostly.

    A retry counts once it has ended, or at once if what it repeats did not succeed. A
    follow-up asks something else: it counts if it has succeeded and its answer has the same
    schema.

    Args:
        snapshot: The session.

    Returns:
        A step a task, in the tasks' order.
    """
    first = steps(snapshot)
    # Ids → the task's number, and whether a follow-up lies between.
    known = {step.ids: (number, False) for number, step in enumerate(first)}
    best = list(first)
    for child in _descendants(snapshot):
        for step in steps(child):
            number, further = known.get(step.parent or ("", ""), (-1, False))
            if number < 0 or not step.answers_anew:
                continue
            further |= step.is_follow_up
            known[step.ids] = number, further
            if _replaces(step, best[number], further=further):
                best[number] = step
    return best


def _replaces(step: Step, older: Step, *, further: bool) -> bool:
    state, outcome = task_state(step.task)
    if further:
        return outcome == states.SUCCEEDED and step.schema == older.schema
    return state == states.ENDED or task_state(older.task)[1] != states.SUCCEEDED


def earlier(folder: str, wanted: Iterable[Ids]) -> list[set[Ids]]:
    """Of each task itself and those whose answer its own may stand for (see `answers_anew`).

    Args:
        folder: The results directory.
        wanted: Session and task of each.

    Returns:
        Sessions and tasks, a set each.
    """
    # Each session is read once, however many of its tasks are wanted.
    known: dict[str, dict[Ids, Step]] = {}
    found = []
    for ids in wanted:
        mine: set[Ids] = set()
        following: Ids | None = ids
        while following is not None and following not in mine:
            mine.add(following)
            session_id = following[0]
            if session_id not in known:
                session = read_session(f"{folder}/{SESSION_PREFIX}{session_id}")
                known[session_id] = {step.ids: step for step in steps(session)}
            step = known[session_id].get(following)
            following = step.parent if step is not None and step.answers_anew else None
        found.append(mine)
    return found


def _descendants(snapshot: Snapshot) -> Iterator[Snapshot]:
    """The sessions that go on from this one, directly or not, the oldest first."""
    known = {snapshot.session_id}
    for head in reversed(catalog.list_sessions(os.path.dirname(snapshot.paths.root))):
        if not known.isdisjoint(parents(head)):
            known.add(head.session_id)
            yield read_session(head.paths.root)


def parents(snapshot: Snapshot) -> list[str]:
    """The ids of the sessions that a session goes on from."""
    told = snapshot.head.get("parent_session_id")
    return told.split(",") if isinstance(told, str) else []
