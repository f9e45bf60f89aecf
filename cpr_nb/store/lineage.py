"""What goes on from a session's tasks: their retries and follow-ups, and theirs in turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.store import catalog
from cpr_nb.store.read import Snapshot, read_asked, read_session
from cpr_nb.store.rows import task_state


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
    def ids(self) -> tuple[str, str]:
        """The session's id and the task's."""
        return self.snapshot.session_id, str(self.task.get("transaction_id", ""))

    @property
    def is_follow_up(self) -> bool:
        """Whether it goes on with another task's conversation, and asks something else."""
        return bool(self.asked.get("follows"))

    @property
    def schema(self) -> Any:
        """The JSON schema of its answer; None if there is none."""
        own = self.asked.get("options")
        return {**self.options, **(own if isinstance(own, dict) else {})}.get("schema")


def steps(snapshot: Snapshot) -> list[Step]:
    """The tasks of a session."""
    asked = read_asked(snapshot.paths)
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
    follow-up asks something else: it counts if it has succeeded and answers in the same form
    (the same schema, or none).

    Args:
        snapshot: The session.

    Returns:
        A step a task, in the tasks' order.
    """
    first = steps(snapshot)
    numbers = {step.ids: number for number, step in enumerate(first)}
    best = list(first)
    for child in _descendants(snapshot):
        for step in steps(child):
            number = numbers.get(_parent(step))
            if number is not None:
                numbers[step.ids] = number
                if _replaces(step, best[number]):
                    best[number] = step
    return best


def _replaces(step: Step, older: Step) -> bool:
    state, outcome = task_state(step.task)
    if step.is_follow_up:
        return outcome == states.SUCCEEDED and step.schema == older.schema
    return state == states.ENDED or task_state(older.task)[1] != states.SUCCEEDED


def _parent(step: Step) -> tuple[str, str]:
    parent = step.asked.get("parent")
    parent = parent if isinstance(parent, dict) else {}
    return str(parent.get("session_id", "")), str(parent.get("task_id", ""))


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
