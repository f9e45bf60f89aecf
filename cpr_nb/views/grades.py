"""The grades of answers: which sessions grade them, and which grade of an answer counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.errors import StateDirError
from cpr_nb.model.grader import reason_of, score_of
from cpr_nb.model.json_values import number
from cpr_nb.model.record import task_state
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.result_line import last_result
from cpr_nb.views.lineage import Ids, LinkedTask, linked_tasks, parents

_FIELD = "structured_output"


class Grading(NamedTuple):
    """A session that grades answers.

    Args:
        snapshot: The session.
        rubric: Its rubric.
        model: The model that grades.
        is_regrade: Whether these are second opinions, which do not replace grades.
        graders: The ids of an answer → the task that grades it.
    """

    snapshot: Snapshot
    rubric: str
    model: str
    is_regrade: bool
    graders: dict[Ids, LinkedTask]

    def is_alike(self, other: Grading) -> bool:
        """Whether it grades by the same rubric, with the same model."""
        return (self.rubric, self.model) == (other.rubric, other.model)


class Grade(NamedTuple):
    """The grade of one answer.

    Args:
        score: From 0 to 1; None while there is none.
        reason: Why, in the grader's words.
        cost_usd: What the grader cost in US dollars; None if that is unknown.
        state: The state of the grader (see `cpr_nb.model.states.TASK_STATES`).
    """

    score: float | None
    reason: str | None
    cost_usd: float | None
    state: str


def gradings(
    folder: str, session_ids: Collection[str], heads: Sequence[Snapshot] | None = None
) -> list[Grading]:
    """The user's own sessions that grade answers of some sessions, the newest first.

    Args:
        folder: The results directory.
        session_ids: The ids of the sessions that were graded.
        heads: The sessions of the results directory, the newest first, if they were just listed.
    """
    heads = catalog.list_sessions(folder) if heads is None else heads
    found = (_grading(head) for head in heads if not set(parents(head)).isdisjoint(session_ids))
    return [one for one in found if one is not None]


def _grading(head: Snapshot) -> Grading | None:
    """What a session grades; None if it grades nothing, or is foreign: it could bring forgeries."""
    try:
        authorship = read_authorship(head.paths)
    except StateDirError:  # without the key nobody can tell
        return None
    stored = authorship.spec.get("grading")
    if not (authorship.is_ours and isinstance(stored, dict)):
        return None
    snapshot = read_session(head.paths.root)
    graders = {ids: task for task in linked_tasks(snapshot) if (ids := _graded(task)) is not None}
    rubric, model = str(stored.get("rubric", "")), str(stored.get("model", ""))
    return Grading(snapshot, rubric, model, bool(stored.get("regrade")), graders)


def _graded(task: LinkedTask) -> Ids | None:
    ids = task.spec.get("grades")
    if not isinstance(ids, dict):
        return None
    return str(ids.get("session_id", "")), str(ids.get("task_id", ""))


def counting_graders(
    sessions: Iterable[Grading], *, regrades: bool = False
) -> dict[Ids, LinkedTask]:
    """For each answer, the task whose grade counts: the newest by the newest rubric.

    A grader that failed counts only where there is no other one.

    Args:
        sessions: The sessions that grade, the newest first.
        regrades: Whether second opinions are asked for, instead of grades.
    """
    of_kind = [one for one in sessions if one.is_regrade == regrades]
    counting: dict[Ids, LinkedTask] = {}
    for grading in of_kind:
        if grading.is_alike(of_kind[0]):
            for ids, task in grading.graders.items():
                if ids not in counting or (_has_failed(counting[ids]) and not _has_failed(task)):
                    counting[ids] = task
    return counting


def _has_failed(task: LinkedTask) -> bool:
    return task_state(task.fields)[1] not in (None, states.SUCCEEDED)


def grade_of(task: LinkedTask) -> Grade:
    """The grade that a task has given.

    Args:
        task: The task that grades.
    """
    state, outcome = task_state(task.fields)
    reply: Any = None
    if outcome == states.SUCCEEDED:
        stream = task.snapshot.paths.newest_stream(task.fields)
        reply = (last_result(stream, _FIELD) or {}).get(_FIELD)
    return Grade(score_of(reply), reason_of(reply), number(task.fields.get("cost_usd")), state)
