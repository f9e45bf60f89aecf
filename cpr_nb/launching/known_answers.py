"""Finds, for each row of a map, a task of an earlier session that has its answer.

A task has the answer of a row if it asked for the same (`cpr_nb.model.identity`) and the answer
that counts for it, a retry's for example, is a success. A task that has not ended yet counts, too:
its answer will come, and a second one would be paid for twice. That of a task outside a pilot comes
only if somebody asks for it, so it does not count. Each answer serves one row.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.files import read_file
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.lineage import Ids, LinkedTask, linked_tasks, newest_answers

if TYPE_CHECKING:
    from cpr_nb.launching.plan import LaunchPlan

_IDENTITY = re.compile(rb'"identity":"([0-9a-f]{32})"')
#: In these states nothing goes on any more with the tasks that have not ended.
_OVER = (*states.ENDED_STATES, states.STALE, states.UNREADABLE)


class KnownAnswer(NamedTuple):
    """A task of an earlier session that has, or will have, the answer of a row.

    Args:
        task: The task that asked for the same.
        answer: The task whose answer counts.
    """

    task: LinkedTask
    answer: LinkedTask

    @property
    def is_success(self) -> bool:
        """Whether the answer is there."""
        return task_state(self.answer.fields)[1] == states.SUCCEEDED

    @property
    def will_come(self) -> bool:
        """Whether the answer is still to come."""
        state, _ = task_state(self.answer.fields)
        return state != states.ENDED and self.answer.snapshot.state not in _OVER


def find_answers(plan: LaunchPlan) -> dict[str, KnownAnswer]:
    """The tasks of a map that need not run: their ids, and where their answers are.

    Args:
        plan: The map.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    for task_id, identity in plan.task_identities.items():
        waiting[identity].append(task_id)
    to_come: dict[str, list[KnownAnswer]] = defaultdict(list)
    found: dict[str, KnownAnswer] = {}
    used: set[Ids] = set()
    for identity, known in _candidates(plan, waiting):
        if known.answer.ids in used:
            continue
        if known.is_success:
            if waiting[identity]:
                found[waiting[identity].pop(0)] = known
                used.add(known.answer.ids)
        elif known.will_come:
            to_come[identity].append(known)
            used.add(known.answer.ids)
    for identity, several in to_come.items():
        found |= zip(waiting[identity], several, strict=False)
    return found


def _candidates(
    plan: LaunchPlan, waiting: dict[str, list[str]]
) -> Iterator[tuple[str, KnownAnswer]]:
    """The tasks that asked for the same as one of the map, those of the newest session first."""
    heads = catalog.list_sessions(plan.results_dir)
    for head in heads:
        if not any(waiting.values()):
            return
        if "identity" not in head.head or not _may_match(head, waiting):
            continue
        authorship = read_authorship(head.paths)
        if not authorship.is_ours:  # its answers may be forged
            continue
        specs = authorship.spec.get("tasks")
        identities = [spec.get("identity") for spec in specs] if isinstance(specs, list) else []
        snapshot = read_session(head.paths.root)
        answers = zip(linked_tasks(snapshot), newest_answers(snapshot, heads), strict=True)
        held_back = _held_back(snapshot, authorship.spec)
        for number, (identity, (task, answer)) in enumerate(zip(identities, answers, strict=False)):
            if identity in waiting and not (number in held_back and answer.ids == task.ids):
                yield identity, KnownAnswer(task, answer)


def _held_back(session: Snapshot, spec: dict[str, Any]) -> Collection[int]:
    """The numbers of the tasks outside a pilot: nobody has asked for their answers yet."""
    shown = session.head.get("pilot")
    if "pilot" not in spec or not isinstance(shown, dict) or not shown.get("n_held"):
        return ()
    return set(range(len(session.tasks or ()))).difference(spec["pilot"]["tasks"])


def _may_match(session: Snapshot, waiting: dict[str, list[str]]) -> bool:
    """Whether its session.json names one of the identities; nothing of it is parsed for that."""
    try:
        data = read_file(session.paths.session)
    except OSError:
        return False
    return any(waiting.get(one.decode()) for one in _IDENTITY.findall(data))
